"""The runs of an experiment's folder: which of them stay, and where the others are moved. Nothing is ever deleted.

A folder's tables are of one configuration: runs of another one are moved to ``earlier/``, and moved back when their
configuration is run again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.config.backends import BACKENDS
from experiments.config.errors import ConfigError
from experiments.config.plan import RunPlan, configuration_hash
from experiments.config.schema import ExperimentConfig
from experiments.runs.run_files import is_run
from experiments.runs.run_row import judge
from metrics.collect.row_files import RUNS, append, read_run
from metrics.collect.row_types import RunRow

EARLIER = "earlier"  # beside the folder of the runs: those that were made again


@contextmanager
def locked(out: Path, folder: str = RUNS) -> Iterator[None]:
    """Lock an experiment's folder, which is made if missing; the kernel unlocks it when this process ends.

    Parameters
    ----------
    folder
        What is locked in it: its runs, or with ``""`` all of a sweep.

    Raises
    ------
    ConfigError
        If another process is running an experiment in it, or it cannot be made.
    """
    try:
        (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out={out}: the folder cannot be made: {error.strerror}") from error
    handle = os.open(out / folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"out={out}: another experiment is running in this folder; name another out=DIR") from None
    else:
        yield
    finally:
        os.close(handle)


def is_locked(out: Path) -> bool:
    """Whether an experiment is running in a folder."""
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def arrange(out: Path, config: ExperimentConfig) -> list[str]:
    """Move runs of other configurations away, and runs of this one back; return a line about each.

    Runs that ended while no command watched them get their row first.
    """
    notes = []
    for directory in _runs_in(out / RUNS):
        if finished_row(directory) is None:
            append(directory, judge(directory, None))
    for directory in _runs_in(out / RUNS):
        if not _belongs(directory.name, config):
            moved = _set_aside(directory)
            notes.append(f"{directory.name} has another configuration: it was moved to {moved}")
    for directory in _runs_in(out / EARLIER):
        home = out / RUNS / directory.name
        if _belongs(directory.name, config) and not home.exists():
            directory.rename(home)
            notes.append(f"{directory.name} has this configuration: it was moved back from {directory}")
    return notes


def make_room(plan: RunPlan) -> str | None:
    """Make an empty folder for a run; return a line about an earlier attempt at it, which is moved away."""
    note = None
    if plan.directory.exists():
        row = finished_row(plan.directory)
        how = "an attempt" if row is None else f"{row.status} after {row.rounds} rounds"
        moved = _set_aside(plan.directory)
        note = f"{plan.label} starts afresh; what there was ({how}) was moved to {moved}"
    plan.directory.mkdir(parents=True)
    return note


def finished_row(directory: Path) -> RunRow | None:
    """Return the row of a run that is over, however it ended; ``None`` if it has none."""
    rows = read_run(directory, "runs").to_pylist()
    return RunRow(**rows[-1]) if rows else None


def _belongs(run_id: str, config: ExperimentConfig) -> bool:
    backend = run_id.partition("-")[0]
    return backend in BACKENDS and run_id.endswith(f"-{configuration_hash(config, backend)}")


def _runs_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if is_run(path))


def _set_aside(directory: Path) -> Path:
    earlier = directory.parent.parent / EARLIER
    earlier.mkdir(exist_ok=True)
    target, number = earlier / directory.name, 1
    while target.exists():
        target, number = earlier / f"{directory.name}.{number}", number + 1
    return directory.rename(target)
