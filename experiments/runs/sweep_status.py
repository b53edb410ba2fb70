"""How far a sweep is, read from the files that it writes: it need not be running."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from experiments.config.plan import label
from experiments.live.progress import RUNNING, WAITING
from experiments.runs.results_folder import finished_row, is_locked
from experiments.runs.run_files import LOG, RunFile, is_run, rounds_of
from experiments.runs.sweep_file import Ledger, PlannedRun
from machine import clocks
from metrics.collect.row_files import RUNS
from metrics.collect.row_types import RunRow

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"


@dataclass(frozen=True)
class RunStanding:
    """How far one run of a sweep is.

    Parameters
    ----------
    status
        ``waiting``, ``running``, ``done``, ``failed`` or ``interrupted``.
    round_s
        Durations of its rounds so far.
    took_s
        Wall time, so far or in all.
    row
        Its row, once it is over.
    """

    planned: PlannedRun
    cell: str
    status: str
    round_s: tuple[float, ...] = ()
    accuracy: float | None = None
    took_s: float = 0.0
    row: RunRow | None = None
    log: Path | None = None

    @property
    def label(self) -> str:
        """Its name in messages."""
        return label(self.planned.backend, self.planned.seed, self.planned.repeat)


@dataclass(frozen=True)
class Standing:
    """How far a sweep is.

    Parameters
    ----------
    is_running
        Whether its command is running now.
    cells
        Name of each cell -> its runs, in the order in which they are made.
    """

    ledger: Ledger
    is_running: bool
    cells: dict[str, list[RunStanding]]

    @property
    def runs(self) -> list[RunStanding]:
        """All runs, in the order in which they are made."""
        return [run for runs in self.cells.values() for run in runs]

    @property
    def left_s(self) -> float | None:
        """About how long what is left will take, in seconds; ``None`` if nothing like it has been measured yet."""
        current = [number for number, run in enumerate(self.runs) if run.status == RUNNING]
        left = self.runs[current[0] :] if current else self.runs  # a run that failed before it is not tried again now
        estimates = [_left_s(run, self.runs) for run in left if run.status != DONE]
        return None if None in estimates else sum(estimate for estimate in estimates if estimate is not None)


def stand(top: Path) -> Standing:
    """Read how far the sweep in a folder is.

    Raises
    ------
    FileNotFoundError
        If no command has been run in this folder.
    """
    ledger = Ledger.read(top)
    cells = {
        cell.name: [_stand(top / cell.name / RUNS / run.run_id, cell.name, run) for run in cell.runs]
        for cell in ledger.cells
    }
    return Standing(ledger, is_locked(top), cells)


def status_of(runs: Sequence[RunStanding]) -> str:
    """Return the status of a cell: that of its runs which needs attention first."""
    found = {run.status for run in runs}
    return next((status for status in (RUNNING, FAILED, INTERRUPTED, WAITING) if status in found), DONE)


def _stand(directory: Path, cell: str, planned: PlannedRun) -> RunStanding:
    if not is_run(directory):
        return RunStanding(planned, cell, WAITING)
    rounds = rounds_of(directory)
    row, run = finished_row(directory), RunFile.read(directory)
    if row is not None:
        status, took_s = DONE if row.status == "success" else row.status, row.wall_s
    else:  # cut off together with its command, if that is gone
        status = RUNNING if psutil.pid_exists(run.watcher_pid) and is_locked(directory.parent) else INTERRUPTED
        took_s = (
            (clocks.now_by(run.clock) or time.time()) - run.started_at
            if status == RUNNING
            else sum(each.round_s for each in rounds)
        )
    return RunStanding(
        planned=planned,
        cell=cell,
        status=status,
        round_s=tuple(each.round_s for each in rounds),
        accuracy=rounds[-1].test_accuracy if rounds else None,
        took_s=took_s,
        row=row,
        log=directory / LOG,
    )


def _left_s(run: RunStanding, others: Sequence[RunStanding]) -> float | None:
    """Estimate how long a run will still take.

    A round takes as long as the median round of this run, else of its backend, by passes over clients' images. Of the
    rounds that are allowed it needs the share that the median run needed that is done, and it starts like one.
    """
    of_backend = [one for one in others if one.planned.backend == run.planned.backend]
    measured = [one for one in ([run] if run.round_s else of_backend) if one.round_s]
    if not measured:
        return None
    unit_s = statistics.median(statistics.median(one.round_s) / one.planned.client_epochs for one in measured)
    shares = [len(one.round_s) / one.planned.max_rounds for one in others if one.status == DONE]
    starts_s = [one.took_s - sum(one.round_s) for one in of_backend if one.status == DONE]
    start_s = statistics.median(starts_s) if starts_s and run.status != RUNNING else 0.0
    expected = round((statistics.median(shares) if shares else 1.0) * run.planned.max_rounds)
    rounds_left = min(run.planned.max_rounds, max(expected, len(run.round_s) + 1)) - len(run.round_s)
    return start_s + rounds_left * run.planned.client_epochs * unit_s
