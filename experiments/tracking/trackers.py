"""The trackers that an experiment writes to: one that is away costs a note, and nothing else.

They are written by the process that watches a run, while the run waits: nothing of them is in a timed section.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Protocol

from experiments.config.plan import RunPlan
from experiments.tracking import TRACKERS
from machine.foreign_texts import plain
from metrics.collect.row_types import RoundRow, RunRow

MEASURED = ("test_accuracy", "test_loss", "round_s", "cpu_s", "cold_starts", "failures")  # of each round
_MOST = 240  # characters of a reason
_IN_THE_END = ("wall_s", "setup_s", "cpu_s", "peak_total_rss_bytes", "rounds_to_target")  # of each run


class Tracker(Protocol):
    """One run in a tracker; an earlier part of it is found again by what its folder says."""

    def __init__(self, plan: RunPlan) -> None: ...

    def round(self, server_round: int, values: dict[str, float]) -> None:
        """Write what a round measured."""

    def end(self, values: dict[str, float], *, succeeded: bool) -> None:
        """Write what the run measured, and that it is over."""

    def attach(self, files: Sequence[Path]) -> None:
        """Keep files beside the run."""


def parameters(plan: RunPlan) -> dict[str, str]:
    """Return what a run is, as text."""
    return {"backend": plan.backend, **{name: str(value) for name, value in plan.job.to_dict().items()}}


class Trackers:
    """All trackers of an experiment's runs."""

    def __init__(self, names: Sequence[str], note: Callable[[str], None]) -> None:
        self._names = list(names)
        self._note = note
        self._of_runs: dict[str, dict[str, Tracker]] = {}

    def started(self, plan: RunPlan) -> None:
        """Open a run, or go on with it."""
        opened = self._of_runs.setdefault(plan.run_id, {})
        for name in list(self._names):
            self._try(name, partial(_open, name, plan, opened))

    def heard(self, plan: RunPlan, event: object) -> None:
        """Write a round."""
        if isinstance(event, RoundRow):
            values = _known(event, MEASURED)
            self._each(plan.run_id, lambda tracker: tracker.round(event.server_round, values))

    def ended(self, plan: RunPlan, row: RunRow) -> None:
        """Write how a run ended."""
        values = _known(row, _IN_THE_END)
        self._each(plan.run_id, lambda tracker: tracker.end(values, succeeded=row.status == "success"))

    def attach(self, out: Path) -> None:
        """Keep the figures, tables and reports of an experiment beside each of its runs."""
        files = sorted(path for pattern in ("figures/*.png", "*.csv", "report.*") for path in out.glob(pattern))
        for run_id in self._of_runs:
            self._each(run_id, lambda tracker: tracker.attach(files))

    def _each(self, run_id: str, act: Callable[[Tracker], None]) -> None:
        for name, tracker in self._of_runs.get(run_id, {}).items():
            if name in self._names:
                self._try(name, partial(act, tracker))

    def _try(self, name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # whatever a tracker does, the run goes on; it is not asked again
            self._names.remove(name)
            reason = shorten(next(iter(str(error).splitlines()), ""))
            self._note(f"tracking: {name} gets no more of this experiment: {type(error).__name__}: {reason}")


def _open(name: str, plan: RunPlan, opened: dict[str, Tracker]) -> None:
    opened[name] = import_module(TRACKERS[name]).RunTracker(plan)


def shorten(reason: str) -> str:
    """Leave the middle out of a long text: libraries write what they did first, and why it failed last.

    Examples
    --------
    >>> shorten("asked " + 300 * "." + " (Caused by: timed out)")[-26:]
    '... (Caused by: timed out)'
    """
    said = plain(reason)
    return said if len(said) <= _MOST else f"{said[: _MOST // 2]} ... {said[-_MOST // 2 :]}"


def _known(row: RoundRow | RunRow, names: Sequence[str]) -> dict[str, float]:
    values = {name: getattr(row, name) for name in names}
    return {name: float(value) for name, value in values.items() if value is not None}
