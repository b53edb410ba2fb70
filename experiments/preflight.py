"""Says whether an experiment would run: ``python -m experiments.preflight +exp=nn_adam_100 platform=openwhisk``.

It looks at the platform and the store that the configuration names, from here and from inside a function, and says what
to change. Without ``platform.api_host`` it looks at the embedded server. Exit codes: 0 it would run, 1 it would not, 2
the configuration is wrong (nothing was done).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.config.errors import ConfigError, one_of
from experiments.config.overrides import options
from experiments.printing import guarded
from machine.files import private
from metrics.report.ink import BAD, GOOD, QUIET, WARN
from serverless.platforms.descriptor import load
from serverless.platforms.registry import descriptor, platforms

if TYPE_CHECKING:
    from experiments.config.compose import Cell
    from serverless.preflight.findings import Finding, Verdict

WOULD_NOT_RUN, WRONG = 1, 2
_MARKS: dict[Verdict, tuple[str, str]] = {
    "ok": ("✓", f"bold {GOOD}"),
    "warning": ("!", f"bold {WARN}"),
    "failed": ("✗", f"bold {BAD}"),
    "not checked": ("·", QUIET),
}


def main(arguments: list[str] | None = None) -> int:
    """Check what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.preflight",
        description="Say whether an experiment would run on a platform, and what to change if not.",
        epilog=f"experiments: {', '.join(options('exp'))}",
    )
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="as of experiments.run: +exp=nn_adam_100 ...")
    parser.add_argument("-m", "--multirun", action="store_true", help="the experiment is a sweep")
    asked = parser.parse_args(arguments)
    try:
        cells = _cells(asked.overrides, multirun=asked.multirun)
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return WRONG
    console = Console(highlight=False)
    with private():
        codes = [check(cell, console) for cell in cells]
    return max(codes)


def _cells(words: list[str], *, multirun: bool) -> list[Cell]:
    """Compose the configurations, as if the functions were the only system of each; those that ask the same, once."""
    from experiments.config.compose import compose_cells  # noqa: PLC0415 - --help does without Hydra

    able = [name for name, platform in platforms().items() if platform.examines]
    chosen = next((word.removeprefix("platform=") for word in words if word.startswith("platform=")), able[0])
    if chosen not in able:
        raise ConfigError(one_of("platform", chosen, able))
    given = [word for word in words if not word.startswith("backends=")]
    cells = compose_cells([*given, f"backends=[{chosen}]"], multirun=multirun)
    return list({str((c.config.platform, c.config.store, c.config.clients_per_round)): c for c in cells}.values())


def check(cell: Cell, console: Console) -> int:
    """Print the findings of one configuration as they come; return the exit code."""
    from experiments.config import backend_settings  # noqa: PLC0415 - --help does without its backends

    config = cell.config
    examine = load(descriptor(config.platform.name).examines or "")
    where = config.platform.api_host or "the embedded server"
    title = f"{config.experiment}{f', {cell.name}' if cell.name else ''}"
    console.print(Text.assemble((title, "bold"), f" on {config.platform.name} ({where}), store {config.store.name}"))
    verdicts: Counter[Verdict] = Counter()
    with TemporaryDirectory(prefix="preflight-") as folder, console.status("checking"):
        job = backend_settings.job_of(config, config.seeds[0])
        for finding in examine(job, backend_settings.serverless(config, Path(folder))):
            verdicts[finding.verdict] += 1
            console.print(_line(finding))
    console.print(_conclusion(verdicts))
    return WOULD_NOT_RUN if verdicts["failed"] else 0


def _line(finding: Finding) -> Table:
    mark, style = _MARKS[finding.verdict]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(width=18)
    grid.add_column(overflow="fold")
    found = Text(finding.found, style=QUIET if finding.verdict == "not checked" else "")
    if finding.advice:
        found.append(f"\n→ {finding.advice}", style=style.removeprefix("bold "))
    grid.add_row(Text(mark, style=style), finding.check, found)
    return grid


def _conclusion(verdicts: Counter[Verdict]) -> Text:
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in _MARKS if verdicts[verdict])
    ending = ("it would not run", f"bold {BAD}") if verdicts["failed"] else ("it would run", f"bold {GOOD}")
    return Text.assemble(ending, f": {counts}")


if __name__ == "__main__":
    sys.exit(guarded(main))
