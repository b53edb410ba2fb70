"""The progress of runs as a table for a terminal, and as a line for a log."""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from experiments.live.progress import KEPT, RUNNING, WAITING, RunProgress
from metrics.collect.phases import UNATTRIBUTED
from metrics.collect.units import seconds
from metrics.report.ink import BAD, GOOD, NOW, QUIET, WARN

COLOURS = {
    "train": "color(64)",
    "move weights": "color(33)",
    "aggregate": "color(30)",
    "evaluate": "color(136)",
    "start": "color(168)",
    "compile": "color(99)",
    "platform": "color(166)",
    UNATTRIBUTED: "color(244)",
}
_MARKS = {
    WAITING: ("·", QUIET),
    RUNNING: ("▶", f"bold {NOW}"),
    KEPT: ("=", GOOD),
    "success": ("✓", f"bold {GOOD}"),
    "failed": ("✗", f"bold {BAD}"),
    "interrupted": ("◼", f"bold {WARN}"),
}
_ROUNDS_BAR = 10  # characters
_OTHER_COLUMNS = 57  # characters of all columns but the split
_OTHER_LINES = 8  # lines of all but the runs


def render(title: str, runs: list[RunProgress], console: Console) -> RenderableType:
    """Draw the runs as they are now, in the console's width and height."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=QUIET, expand=False)
    table.add_column("", width=1)
    table.add_column("run", no_wrap=True, width=14)
    table.add_column("rounds", width=_ROUNDS_BAR)
    table.add_column("", no_wrap=True, width=7)
    table.add_column("accuracy", justify="right", width=8)
    table.add_column("round", justify="right", no_wrap=True, width=8)
    bar_width = max(12, min(48, console.width - _OTHER_COLUMNS - 12))
    table.add_column("its split", no_wrap=True, width=bar_width)
    table.add_column("", no_wrap=True)
    shown = _window(runs, max(3, console.height - _OTHER_LINES))
    for run in shown:
        table.add_row(*_cells(run, bar_width))
    hidden = len(runs) - len(shown)
    parts: list[RenderableType] = [Text(title, style="bold", overflow="fold"), table]
    if hidden:
        parts.append(Text(f"  and {hidden} more runs", style=QUIET))
    # the terminal echoes ^C where the cursor is, so the last line stays empty
    return Group(*parts, _footer(_current(runs)), Text(""))


def _window(runs: list[RunProgress], count: int) -> list[RunProgress]:
    """Return ``count`` runs at most, around the one that is running."""
    now = max((number for number, run in enumerate(runs) if run.status != WAITING), default=0)
    first = max(0, min(now - count + 3, len(runs) - count))
    return runs[first : first + count]


def _current(runs: list[RunProgress]) -> RunProgress | None:
    """Return the run that is running, else the last one that had a round."""
    running = [run for run in runs if run.status == RUNNING]
    return next(iter(running or [run for run in reversed(runs) if run.last_round is not None]), None)


def _cells(run: RunProgress, bar_width: int) -> list[RenderableType]:
    mark, style = _MARKS[run.status]
    quiet = QUIET if run.status == WAITING else ""
    accuracy = "" if run.accuracy is None else f"{run.accuracy:.4f}"
    return [
        Text(mark, style=style),
        Text(f"{run.plan.backend} s{run.plan.job.seed}", style=quiet),
        _rounds(run),
        Text(f"{run.rounds}/{run.plan.job.rounds}"),
        Text(accuracy),
        Text("" if run.round_s is None else seconds(run.round_s)),
        bar(run.split(), bar_width),
        Text(_remark(run), style=QUIET),
    ]


def _rounds(run: RunProgress) -> ProgressBar:
    total = run.plan.job.rounds
    done = total if run.status in ("success", KEPT) else run.rounds  # a run that reached its target is complete
    return ProgressBar(total, done, width=_ROUNDS_BAR, style=QUIET, complete_style=NOW, finished_style=GOOD)


def bar(split: dict[str, float], width: int) -> Text:
    """Draw shares as a bar of exactly ``width`` cells (largest remainder), nothing if there are none."""
    exact = {name: share * width for name, share in split.items()}
    cells = {name: int(size) for name, size in exact.items()}
    by_remainder = sorted(exact, key=lambda name: cells[name] - exact[name])
    for name in by_remainder[: width - sum(cells.values())]:
        cells[name] += 1
    return Text.assemble(*(("█" * count, COLOURS[name]) for name, count in cells.items()))


def _footer(run: RunProgress | None) -> RenderableType:
    """Return what the colours mean, with the shares of the last round; before the first one, the set-up step."""
    if run is None:
        return Text("")
    if run.last_round is None:
        words = Text.assemble((f"{run.plan.label}, set-up: ", QUIET), (run.step or "start", "italic"))
        return Padding(words, (1, 0, 0, 2))
    legend = [Text.assemble(("■ ", COLOURS[name]), f"{name} {share:.0%}") for name, share in _worth_showing(run)]
    return Padding(Columns(legend, padding=(0, 2)), (1, 0, 0, 2))


def _worth_showing(run: RunProgress) -> list[tuple[str, float]]:
    """Return the shares of the last round that do not round to nothing."""
    return [(name, share) for name, share in run.split().items() if share >= 0.005]


def _remark(run: RunProgress) -> str:
    if run.status == RUNNING:
        if run.left_s is None:
            return "to round 1"
        return f"{_bound(run)}{seconds(run.left_s)}" if run.left_s else "ending"
    if run.row is not None and run.status == "success":
        return f"in {seconds(run.row.wall_s)}"
    return "" if run.status == WAITING else run.status


def _bound(run: RunProgress) -> str:
    return "~" if run.plan.job.target_accuracy is None else "≤"


def sentence(run: RunProgress) -> str:
    """Describe in one line how far a run is."""
    if run.row is not None:
        reached = "" if run.accuracy is None else f", accuracy {run.accuracy:.4f}"
        verb = "kept, it had finished before" if run.status == KEPT else run.row.status
        return f"{verb}: {run.rounds} rounds{reached}, {seconds(run.row.wall_s)} in all"
    if run.step is not None or run.last_round is None:
        return f"set-up: {run.step or 'start'}"
    split = ", ".join(f"{name} {share:.0%}" for name, share in _worth_showing(run))
    left = "" if not run.left_s else f"; {_bound(run)}{seconds(run.left_s)} left"
    return (
        f"round {run.rounds}/{run.plan.job.rounds}: accuracy {run.last_round.test_accuracy:.4f}, "
        f"loss {run.last_round.test_loss:.4f}, {seconds(run.last_round.round_s)} ({split}){left}"
    )
