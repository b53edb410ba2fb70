"""What a person sees while the runs of an experiment go on: a live table, or plain lines where there is no terminal.

Both write only when something is announced, and the run waits until they have: nothing is drawn while a clock runs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.plan import RunPlan
from experiments.progress import KEPT, RUNNING, WAITING, RunProgress, duration
from metrics.tables import RunRow

_COLOURS = {
    "train": "green",
    "compile": "cyan",
    "start": "magenta",
    "move": "blue",
    "wait": "yellow",
    "average": "bright_cyan",
    "evaluate": "bright_black",
    "rest": "red",
}
_MARKS = {
    WAITING: ("·", "dim"),
    RUNNING: ("▶", "bold cyan"),
    KEPT: ("=", "green"),
    "success": ("✓", "bold green"),
    "failed": ("✗", "bold red"),
    "interrupted": ("◼", "bold yellow"),
}
_ROUNDS_BAR = 10  # characters
_OTHER_COLUMNS = 57  # characters of all columns but the split
_OTHER_LINES = 7  # lines of all but the runs


class View(ABC):
    """Shows the progress of an experiment's runs."""

    def __init__(self, console: Console, title: str, plans: list[RunPlan]) -> None:
        self.console = console
        self.title = title
        self.runs = {plan.run_id: RunProgress(plan) for plan in plans}

    def started(self, plan: RunPlan) -> None:
        """Show that a run begins."""
        self.runs[plan.run_id].status = RUNNING
        self._show(self.runs[plan.run_id])

    def heard(self, plan: RunPlan, event: dict[str, Any]) -> None:
        """Show what a run announced."""
        self.runs[plan.run_id].heard(event)
        self._show(self.runs[plan.run_id])

    def ended(self, plan: RunPlan, row: RunRow, *, kept: bool = False) -> None:
        """Show how a run ended, or that it had been finished before."""
        run = self.runs[plan.run_id]
        run.row, run.status, run.step = row, KEPT if kept else row.status, None
        self._show(run)

    def note(self, text: str) -> None:
        """Say something beside the runs."""
        self.console.print(text, style="yellow", markup=False, highlight=False)

    @abstractmethod
    def _show(self, run: RunProgress) -> None:
        """Show a change of ``run``."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class PlainView(View):
    """One line per event, with the time of day."""

    def __enter__(self) -> View:
        self.console.print(self.title, markup=False, highlight=False, soft_wrap=True)
        return self

    def _show(self, run: RunProgress) -> None:
        line = f"{time.strftime('%H:%M:%S')} {run.plan.label:<18} {_sentence(run)}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveView(View):
    """A table that is redrawn in place."""

    def __init__(self, console: Console, title: str, plans: list[RunPlan]) -> None:
        super().__init__(console, title, plans)
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> View:
        self._live.start()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _show(self, run: RunProgress) -> None:
        self._draw()

    def _draw(self) -> None:
        self._live.update(render(self.title, list(self.runs.values()), self.console), refresh=True)


def open_view(console: Console, title: str, plans: list[RunPlan]) -> View:
    """Return the live table on a terminal, else plain lines."""
    return (LiveView if console.is_terminal else PlainView)(console, title, plans)


def render(title: str, runs: list[RunProgress], console: Console) -> RenderableType:
    """Draw the runs as they are now, in the console's width and height."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", expand=False)
    table.add_column("", width=1)
    table.add_column("run", no_wrap=True, width=14)
    table.add_column("rounds", no_wrap=True, width=_ROUNDS_BAR + 8)
    table.add_column("accuracy", justify="right", width=8)
    table.add_column("round", justify="right", no_wrap=True, width=8)
    bar_width = max(12, min(48, console.width - _OTHER_COLUMNS - 12))
    table.add_column("where its time went", no_wrap=True, width=bar_width, overflow="ellipsis")
    table.add_column("", no_wrap=True)
    shown = _window(runs, max(3, console.height - _OTHER_LINES))
    for run in shown:
        table.add_row(*_cells(run, bar_width))
    hidden = len(runs) - len(shown)
    parts: list[RenderableType] = [Text(title, style="bold", overflow="fold"), table]
    if hidden:
        parts.append(Text(f"  and {hidden} more runs", style="dim"))
    return Group(*parts, _legend(_current(runs)))


def _window(runs: list[RunProgress], room: int) -> list[RunProgress]:
    """Return as many runs as there is room for, around the one that is running."""
    now = max((number for number, run in enumerate(runs) if run.status != WAITING), default=0)
    first = max(0, min(now - room + 3, len(runs) - room))
    return runs[first : first + room]


def _current(runs: list[RunProgress]) -> RunProgress | None:
    """Return the run that is running, else the last one that had a round."""
    having = [run for run in runs if run.last_round is not None]
    return next((run for run in having if run.status == RUNNING), having[-1] if having else None)


def _cells(run: RunProgress, bar_width: int) -> list[RenderableType]:
    mark, style = _MARKS[run.status]
    dim = "dim" if run.status == WAITING else ""
    accuracy = "" if run.accuracy is None else f"{run.accuracy:.4f}"
    return [
        Text(mark, style=style),
        Text(f"{run.plan.backend} s{run.plan.job.seed}", style=dim),
        _rounds(run),
        Text(accuracy),
        Text("" if run.round_s is None else duration(run.round_s)),
        Text(run.step, style="italic") if run.step else _bar(run.split(), bar_width),
        Text(_remark(run), style="dim"),
    ]


def _rounds(run: RunProgress) -> Text:
    total = run.plan.job.rounds
    done = run.rounds if run.status != "success" else total  # one that reached its target is complete
    full = _ROUNDS_BAR * done // total
    colour = "green" if run.status in ("success", KEPT) else "cyan"
    return Text.assemble(("━" * full, colour), ("━" * (_ROUNDS_BAR - full), "bright_black"), f" {run.rounds}/{total}")


def _bar(split: dict[str, float], width: int) -> Text:
    """Draw shares as a bar of exactly ``width`` cells (largest remainder), nothing if there are none."""
    exact = {name: share * width for name, share in split.items()}
    cells = {name: int(size) for name, size in exact.items()}
    by_remainder = sorted(exact, key=lambda name: cells[name] - exact[name])
    for name in by_remainder[: width - sum(cells.values())]:
        cells[name] += 1
    return Text.assemble(*(("█" * count, _COLOURS[name]) for name, count in cells.items()))


def _legend(run: RunProgress | None) -> Text:
    if run is None:
        return Text("")
    parts: list[Any] = [("\n  last round  ", "dim")]
    for name, share in run.split().items():
        parts += [("■ ", _COLOURS[name]), f"{name} {share:.0%}   "]
    return Text.assemble(*parts, overflow="fold")


def _remark(run: RunProgress) -> str:
    if run.status == RUNNING:
        return f"{_bound(run)}{duration(run.left_s)}" if run.left_s is not None else "to round 1"
    if run.row is not None and run.status == "success":
        return f"in {duration(run.row.wall_s)}"
    return "" if run.status == WAITING else run.status


def _bound(run: RunProgress) -> str:
    return "~" if run.plan.job.target_accuracy is None else "≤"


def _sentence(run: RunProgress) -> str:
    """Say in one line how far a run is."""
    if run.row is not None:
        reached = "" if run.accuracy is None else f", accuracy {run.accuracy:.4f}"
        verb = "kept, it had finished before" if run.status == KEPT else run.row.status
        return f"{verb}: {run.rounds} rounds{reached}, {duration(run.row.wall_s)} in all"
    if run.step is not None or run.last_round is None:
        return f"set-up: {run.step or 'start'}"
    split = ", ".join(f"{name} {share:.0%}" for name, share in run.split().items() if share >= 0.005)
    left = "" if not run.left_s else f"; {_bound(run)}{duration(run.left_s)} left"
    return (
        f"round {run.rounds}/{run.plan.job.rounds}: accuracy {run.last_round['test_accuracy']:.4f}, "
        f"loss {run.last_round['test_loss']:.4f}, {duration(run.last_round['round_s'])} ({split}){left}"
    )
