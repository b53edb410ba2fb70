"""What the set-up of each system consisted of, as the backends recorded it in ``runs/<run_id>/setup.jsonl``."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pandas as pd

from metrics.analysis.labels import label_runs
from metrics.collect.row_files import RUNS
from metrics.collect.setup_steps import read_steps
from metrics.collect.units import NOT_MEASURED, write
from metrics.report.table import Table

REST = "in no step"


def setup_steps(out: Path, runs: pd.DataFrame) -> Table | None:
    """Return the median seconds of each step over the finished runs of each system; ``None`` if no step is known.

    Parameters
    ----------
    out
        Folder of the experiment.
    runs
        Its table ``runs``.
    """
    finished = label_runs(runs).query("status == 'success'").drop_duplicates("run_id")
    systems = list(dict.fromkeys(finished["system"]))
    rows: dict[str, dict[str, list[float]]] = {}
    for run in finished.to_dict("records"):
        steps = read_steps(out / RUNS / run["run_id"])
        rest = {REST: max(0.0, run["setup_s"] - sum(steps.values()))} if steps else {}
        for step, seconds in {**steps, **rest}.items():
            rows.setdefault(step, {}).setdefault(run["system"], []).append(seconds)
    if not rows:
        return None
    rest_last = [*(step for step in rows if step != REST), REST]
    return Table(
        header=("set-up step", *systems),
        sections=(tuple((step, *(_median(rows[step].get(system, [])) for system in systems)) for step in rest_last),),
    )


def _median(seconds: list[float]) -> str:
    return write(median(seconds), "s") if seconds else NOT_MEASURED
