"""From which busy share on machines are cheaper than functions, for the same learning.

Machines cost by the hour whether they work or not, functions by what they do. At ``r`` rounds an hour a side costs
``per_hour + r * per_round``; the two lines cross at ``r = (M_hour - F_hour) / (F_round - M_round)``. The busy share is
the part of the time in which the machines have a round to work at: ``r`` times the seconds that it holds them, / 3600.
"""

from __future__ import annotations

import math

import pandas as pd

from metrics.analysis.labels import label_runs
from metrics.collect.cost_table import AROUND, COST, ESSENTIAL, SCENARIO
from metrics.collect.tables import Tables

_SHARED = ["cell", "seed", "repeat", "pricing", "vm", "egress_share", "free_tier", "round_time"]
_SIDE = ["usd_per_hour", "usd_per_round", "round_s"]


def rates(tables: Tables) -> pd.DataFrame:
    """Return a row per finished run and scenario: ``usd_per_hour`` of what is held, ``usd_per_round`` of what is used.

    ``round_s`` is the mean time that a round holds its machines. Set-up and teardown are left out: they are done once.
    """
    cost = tables[COST]
    runs = label_runs(tables["runs"])
    runs = runs[runs["status"] == "success"][["run_id", "cell", "seed", "repeat", "system", "backend"]]
    rows = []
    rounds = cost[cost["server_round"] != AROUND]
    for keys, bill in rounds.groupby(["run_id", *SCENARIO], sort=False, dropna=False):
        rows.append({**dict(zip(["run_id", *SCENARIO], keys, strict=True)), **_rates_of(bill)})
    found = pd.DataFrame(rows, columns=["run_id", *SCENARIO, *_SIDE])
    return runs.merge(found, on="run_id", sort=False)


def _rates_of(bill: pd.DataFrame) -> dict[str, float]:
    held = bill.drop_duplicates("server_round")["held_s"].dropna()
    by_hour = bill["machines"].notna()
    total_s = float(held.sum())
    if bill.loc[bill["item"].isin(ESSENTIAL), "usd"].isna().any() or not total_s > 0:
        return dict.fromkeys(_SIDE, math.nan)
    return {
        "usd_per_hour": float(bill.loc[by_hour, "usd"].sum()) / total_s * 3600,
        "usd_per_round": float(bill.loc[~by_hour, "usd"].sum()) / len(held),
        "round_s": total_s / len(held),
    }


def break_evens(tables: Tables) -> pd.DataFrame:
    """Compare every system on machines with every one of functions, within a cell, seed and price list.

    Returns
    -------
    DataFrame
        Both sides' rates (``vm_...``, ``function_...``), ``rounds_per_hour`` and ``busy_share`` at which both cost the
        same. Below it functions are cheaper; above 1 they are cheaper even if the machines are never idle; 0: never.
    """
    found = rates(tables)
    is_function = found["policy"].isna()
    machines = found[~is_function].drop(columns=["memory_mb", "store_on"])
    functions = found[is_function].drop(columns=["policy", "clients_per_vm", "run_id"])
    paired = machines.merge(functions, on=_SHARED, suffixes=("_vm", "_function"))
    names = {
        f"{name}_{side}": f"{side}_{name}" for name in ("system", "backend", *_SIDE) for side in ("vm", "function")
    }
    paired = paired.rename(columns=names)
    sides = ["vm_usd_per_hour", "vm_usd_per_round", "function_usd_per_hour", "function_usd_per_round"]
    crossing = [cross(*values) for values in paired[sides].to_numpy(dtype="float64").tolist()]
    return paired.assign(
        rounds_per_hour=crossing,
        busy_share=[rate * held / 3600 for rate, held in zip(crossing, paired["vm_round_s"], strict=True)],
    )


def cross(vm_per_hour: float, vm_per_round: float, function_per_hour: float, function_per_round: float) -> float:
    """Return the rounds an hour at which both sides cost the same.

    Examples
    --------
    >>> cross(1.0, 0.0, 0.0, 0.02)
    50.0
    >>> cross(1.0, 0.02, 0.0, 0.02), cross(1.0, 0.0, 1.5, 0.02)
    (inf, 0.0)
    """
    if any(math.isnan(value) for value in (vm_per_hour, vm_per_round, function_per_hour, function_per_round)):
        return math.nan
    if vm_per_hour <= function_per_hour:
        return 0.0
    dearer = function_per_round - vm_per_round
    return (vm_per_hour - function_per_hour) / dearer if dearer > 0 else math.inf
