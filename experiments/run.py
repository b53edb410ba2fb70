"""The command line: ``python -m experiments.run +exp=quickstart``.

Exit codes: 0 all runs succeeded, 1 a run failed, or something could not be written or printed, 2 the configuration is
wrong (nothing was done), 128 + n stopped by signal n (130 after Ctrl-C).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from experiments.config.errors import ConfigError
from experiments.config.overrides import descriptions, keys
from experiments.printing import guarded
from machine.files import private

if TYPE_CHECKING:
    from experiments.config.compose import Cell

WRONG, CTRL_C = 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run the experiment that the command line asks for; return the exit code."""
    parser = _parser()
    asked = parser.parse_intermixed_args(arguments)
    if not asked.overrides:
        print(_overview())
        return WRONG
    try:
        return _run(asked)
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("stopped; nothing was running", file=sys.stderr)
        return CTRL_C


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.run",
        description="Train the same federation on several systems; compare their time, memory, cost.",
        epilog=f"{_experiments()}\n\nkeys:\n  " + "\n  ".join(keys()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as +exp=quickstart rounds=5")
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over values with commas")
    parser.add_argument("--show", action="store_true", help="print the resolved configuration and the runs; do nothing")
    return parser


def _experiments() -> str:
    """Return a line for each experiment."""
    names = descriptions()
    width = max(map(len, names))
    return "experiments:\n" + "\n".join(f"  {name:<{width}}  {said}" for name, said in names.items())


def _overview() -> str:
    """Return what somebody sees who has not said what to run."""
    begin = "python -m experiments.run +exp="
    return (
        f"Which experiment? Such as: {begin}quickstart\n\n{_experiments()}\n\n"
        f"Change any choice:  {begin}quickstart rounds=5\n"
        "--show prints what would be run, --help lists all keys; more in docs/usage.md."
    )


def _run(asked: argparse.Namespace) -> int:
    from experiments.config.compose import compose_cells  # noqa: PLC0415 - --help does without Hydra

    cells = compose_cells(asked.overrides, multirun=asked.multirun)
    if asked.show:
        _show(cells)
        return 0

    from rich.console import Console  # noqa: PLC0415 - a wrong configuration is reported without it

    from experiments.runs.sweep import run_cells  # noqa: PLC0415 - pandas as well

    with private():
        return run_cells(cells, Console(highlight=False))


def _show(cells: list[Cell]) -> None:
    from experiments.config.plan import plan_runs  # noqa: PLC0415 - --help does without its backends

    for cell in cells:
        runs = [plan.run_id for plan in plan_runs(cell.config, cell.out)]
        print(json.dumps({"out": str(cell.out), "runs": runs, "config": cell.config.to_dict()}, indent=2))


if __name__ == "__main__":
    sys.exit(guarded(main))
