"""Whether an interrupted run continues after its last whole round, and how its folder is prepared for that.

Every attempt at a run is a *part* of it. A part that is over has its row in ``runs.jsonl``, as every run has that is
over; when the run goes on that row is set aside as ``part-<number>.jsonl``, and the next one adds up to it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from experiments.runs.run_files import Identity, Outcome, RunFile
from metrics.collect import checkpoints
from metrics.collect.provenance import Provenance
from metrics.collect.row_files import read_rows
from metrics.collect.row_types import RunRow

_ROWS = "runs.jsonl"
_CODE = ("commit", "dirty")  # a change of the code is noted in the run's row; see `add_up`


def last_whole_round(directory: Path, row: RunRow) -> int | None:
    """Return the round after which a run that did not succeed can go on; ``None`` if there is none."""
    return None if row.status == "success" else checkpoints.last_round(directory)


def obstacle(row: RunRow, identity: Identity, provenance: Provenance) -> str | None:
    """Return which column forbids to go on here, because the run's rounds would not be of one kind any more."""
    here = {**asdict(identity), **asdict(provenance)}
    return next((name for name, value in here.items() if name not in _CODE and getattr(row, name) != value), None)


def reopen(directory: Path, run: RunFile) -> None:
    """Make a run's folder ready to go on; a kill in the middle of this leaves a folder that can go on, too."""
    Outcome.forget(directory)
    checkpoints.discard_unfinished(directory)
    run.write(directory)
    (directory / _ROWS).rename(_part(directory, run.part - 1))


def earlier_parts(directory: Path, run: RunFile) -> RunRow | None:
    """Return the row of a run as it was when it was last cut off; ``None`` in its first part."""
    if run.part == 0:
        return None
    return RunRow(**read_rows(_part(directory, run.part - 1), RunRow).to_pylist()[-1])


def add_up(row: RunRow, earlier: RunRow | None) -> RunRow:
    """Return the row of a run whose last part is ``row`` and whose parts before that are ``earlier``.

    What a part took is added; a value that is unknown for one part is unknown for the run. The commit is that of the
    first part, and "dirty" if the last one ran another.
    """
    if earlier is None:
        return row
    peaks = [part.peak_total_rss_bytes for part in (row, earlier) if part.peak_total_rss_bytes is not None]
    is_known = row.dirty is not None and earlier.dirty is not None
    return replace(
        row,
        setup_s=row.setup_s + earlier.setup_s,
        learning_s=row.learning_s + earlier.learning_s,
        teardown_s=row.teardown_s + earlier.teardown_s,
        wall_s=row.wall_s + earlier.wall_s,
        cpu_s=_sum(row.cpu_s, earlier.cpu_s),
        sampled_cpu_s=_sum(row.sampled_cpu_s, earlier.sampled_cpu_s),
        sampler_cpu_s=_sum(row.sampler_cpu_s, earlier.sampler_cpu_s),
        resumes=earlier.resumes + 1,
        started_at=earlier.started_at,
        peak_total_rss_bytes=max(peaks, default=None),
        commit=earlier.commit,
        dirty=(row.dirty or earlier.dirty or row.commit != earlier.commit) if is_known else None,
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _part(directory: Path, number: int) -> Path:
    return directory / f"part-{number}.jsonl"
