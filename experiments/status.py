"""Shows how far a running or finished sweep is: ``python -m experiments.status results/fig3_nn``."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.live.progress import RUNNING, WAITING
from experiments.printing import guarded
from experiments.runs.sweep_status import DONE, FAILED, INTERRUPTED, RunStanding, Standing, stand, status_of
from machine.files import DamagedFileError
from metrics.collect.units import seconds
from metrics.report.ink import BAD, GOOD, NOW, QUIET, WARN

USAGE = "usage: python -m experiments.status RESULTS"
_MARKS = {
    DONE: ("✓", f"bold {GOOD}"),
    RUNNING: ("▶", f"bold {NOW}"),
    FAILED: ("✗", f"bold {BAD}"),
    INTERRUPTED: ("◼", f"bold {WARN}"),
    WAITING: ("·", QUIET),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how far the sweep in a folder is; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) != 1 or words[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 2
    top = Path(words[0])
    try:
        standing = stand(top)
    except FileNotFoundError:
        print(
            f"error: no command has been run in {top}: name the folder of an experiment, such as results/quickstart",
            file=sys.stderr,
        )
        return 2
    except DamagedFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(top, standing, Console(highlight=False))
    return 0


def show(top: Path, standing: Standing, console: Console) -> None:
    """Print how far a sweep is; readable from 80 columns on."""
    cells = Counter(status_of(runs) for runs in standing.cells.values())
    runs = Counter(run.status for run in standing.runs)
    console.print(Text.assemble((str(top), "bold"), f": {_count(cells, 'cells')}"), soft_wrap=True)
    if len(standing.runs) > len(standing.cells):
        console.print(Text(f"{_count(runs, 'runs')}"), soft_wrap=True)
    console.print(Text(_when(standing, runs)))
    console.print(_table(standing))
    for run in standing.runs:
        if run.status in (RUNNING, FAILED, INTERRUPTED):
            _describe(run, console)
    if not standing.is_running and runs[DONE] < len(standing.runs):
        console.print(Text.assemble("To go on: ", (standing.ledger.command, "bold")), soft_wrap=True)


def _count(found: Counter[str], what: str) -> str:
    parts = [f"{found[status]} {status}" for status in _MARKS if found[status] and status != DONE]
    return ", ".join([f"{found[DONE]} of {found.total()} {what} done", *parts])


def _when(standing: Standing, runs: Counter[str]) -> str:
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(standing.ledger.started_at))
    if runs[DONE] == len(standing.runs):
        return f"last started {since}; nothing is left to do"
    if standing.left_s is None:
        left = "how long it will take is not known yet"
    else:
        left = f"about {seconds(standing.left_s)} left"
        if standing.is_running:
            left += f", until {time.strftime('%a %H:%M', time.localtime(time.time() + standing.left_s))}"
    return f"running since {since}; {left}" if standing.is_running else f"not running; last started {since}; {left}"


def _table(standing: Standing) -> Table:
    """Return a row per cell; what is swept over has a column per key."""
    names = {name: dict(part.partition("=")[::2] for part in name.split(",")) for name in standing.cells}
    keys = list(next(iter(names.values()), {}))
    alike = all(list(values) == keys for values in names.values()) and keys != [""]
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=QUIET)
    grid.add_column("", width=1)
    for key in keys if alike else ["cell"]:
        grid.add_column(key.rpartition(".")[2], overflow="fold")
    for title in ("runs", "rounds", "accuracy", "time"):
        grid.add_column(title, justify="right", no_wrap=True)
    for name, runs in standing.cells.items():
        mark, style = _MARKS[status_of(runs)]
        labels = list(names[name].values()) if alike else [name or "this experiment"]
        grid.add_row(Text(mark, style=style), *map(Text, labels), *map(Text, _figures(runs)))
    return grid


def _figures(runs: Sequence[RunStanding]) -> list[str]:
    """Return the cells' figures: medians over its runs that have begun."""
    begun = [run for run in runs if run.status != WAITING]
    rounds = [len(run.round_s) for run in begun]
    accuracies = [run.accuracy for run in begun if run.accuracy is not None]
    return [
        f"{sum(run.status == DONE for run in runs)}/{len(runs)}",
        f"{statistics.median(rounds):g}" if begun else "",
        f"{statistics.median(accuracies):.4f}" if accuracies else "",
        seconds(sum(run.took_s for run in begun)) if begun else "",
    ]


def _describe(run: RunStanding, console: Console) -> None:
    """Print how far a run is that needs attention, and where its log is."""
    mark, style = _MARKS[run.status]
    resumed = f", resumed {run.row.resumes} times" if run.row and run.row.resumes else ""
    words = f"{run.label} {run.status} after {len(run.round_s)} of {run.planned.max_rounds} rounds{resumed}"
    console.print(Text.assemble((f"{mark} ", style), f"{run.cell}\n  {words}" if run.cell else words))
    if run.status == FAILED and run.row is not None:
        error = (run.row.error or "").strip().splitlines()
        console.print(Text(f"  {error[0] if error else 'no error was reported'}", style=BAD))
        console.print(Text(f"  log: {run.log}", style=QUIET), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
