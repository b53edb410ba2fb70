"""What a person sees while the runs of an experiment go on: a live table, or plain lines where there is no terminal.

Both write only when something is announced, and the run waits until they have: nothing is drawn while a clock runs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from rich.console import Console
from rich.live import Live

from experiments.config.plan import RunPlan
from experiments.live.progress import KEPT, RUNNING, RunProgress
from experiments.live.progress_table import render, sentence
from experiments.printing import say
from experiments.runs.announcements import Event, Stopping
from metrics.collect.row_types import RunRow
from metrics.report.ink import WARN


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

    def heard(self, plan: RunPlan, event: Event) -> None:
        """Show what a run announced, or that it was asked to stop."""
        if isinstance(event, Stopping):
            self.note("stopping: the run ends its processes; Ctrl-C again kills it at once")
            return
        self.runs[plan.run_id].heard(event)
        self._show(self.runs[plan.run_id])

    def ended(self, plan: RunPlan, row: RunRow, *, kept: bool = False) -> None:
        """Show how a run ended, or that it had been finished before."""
        run = self.runs[plan.run_id]
        run.row, run.status, run.step = row, KEPT if kept else row.status, None
        self._show(run)

    def note(self, *lines: str) -> None:
        """Print lines above the runs."""
        for line in lines:
            say(self.console, line, WARN)

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
        line = f"{time.strftime('%H:%M:%S')} {run.plan.label:<18} {sentence(run)}"
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
