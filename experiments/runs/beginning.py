"""How a run of a plan begins: it is kept as it finished, goes on after its last whole round, or starts afresh."""

from __future__ import annotations

import time
from dataclasses import dataclass

from experiments.config.plan import RunPlan
from experiments.runs.results_folder import finished_row, make_room
from experiments.runs.resume import last_whole_round, obstacle
from experiments.runs.run_files import Identity
from metrics.collect.provenance import Provenance
from metrics.collect.row_types import RunRow


@dataclass(frozen=True)
class Beginning:
    """What is done about a run, and the lines that say so.

    Parameters
    ----------
    kept
        The row of a run that is not made again.
    part
        How often the run has been resumed, this time included; 0 if it starts afresh, in a folder that is empty.
    """

    notes: tuple[str, ...] = ()
    kept: RunRow | None = None
    part: int = 0


def begin(plan: RunPlan, identity: Identity, provenance: Provenance, *, rerun: bool) -> Beginning:
    """Look at what there is of a run, and make its folder ready if it starts afresh.

    Parameters
    ----------
    rerun
        Whether to start afresh in any case.
    """
    row = None if rerun else finished_row(plan.directory)
    if row is not None and row.status == "success":
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.started_at))
        return Beginning((f"{plan.label} is kept as it finished on {when}; rerun=true makes it again",), kept=row)
    notes: list[str] = []
    last_round = None if row is None else last_whole_round(plan.directory, row)
    if row is not None and last_round is not None:
        other = obstacle(row, identity, provenance)
        if other is None:
            note = f"{plan.label} was {row.status} and goes on after round {last_round}"
            return Beginning((note,), part=row.resumes + 1)
        notes.append(f"{plan.label} was {row.status} after round {last_round}, but with another {other} than now")
    moved = make_room(plan)
    return Beginning((*notes, *([moved] if moved else [])))
