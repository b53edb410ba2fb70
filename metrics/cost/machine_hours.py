"""How long the machines of a run are held: its rounds, and what is before, between and after them (round 0)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from metrics.collect.cost_table import AROUND
from metrics.collect.tables import Tables
from metrics.cost.prices import Billing, VmPrice
from metrics.cost.round_model import modelled_round_s
from metrics.cost.vm_count import slots, vm_usd

ROUND = ["run_id", "server_round"]


def held_seconds(tables: Tables, runs: pd.DataFrame, billing: Billing, vm: VmPrice | None) -> pd.Series[float]:
    """Return the seconds that each round of ``runs`` holds its machines, indexed by run and round.

    Parameters
    ----------
    vm
        The clients' machine; ``None`` where every client has an instance of its own: functions.
    """
    rounds = tables["rounds"][tables["rounds"]["run_id"].isin(runs["run_id"])]
    seconds = rounds["round_s"].astype("float64")
    if billing.round_time == "modelled":
        selected = runs["clients_per_round"]
        at_once = selected if vm is None else slots(selected, billing, vm)
        by_run = {run: int(count) for run, count in zip(runs["run_id"], at_once, strict=True)}
        calls = tables["invocations"][tables["invocations"]["run_id"].isin(runs["run_id"])]
        seconds = modelled_round_s(rounds, calls, by_run)
    learnt = rounds.groupby("run_id")["round_s"].sum()
    around = runs["wall_s"] - runs["run_id"].map(learnt).fillna(0.0)
    outside = pd.Series(around.clip(lower=0.0).to_numpy(), index=_index(runs["run_id"], AROUND))
    inside = pd.Series(seconds.to_numpy(), index=_index(rounds["run_id"], rounds["server_round"]))
    held: pd.Series[float] = pd.concat([outside, inside]).rename("held_s")
    return held


def _index(run_ids: pd.Series[str], numbers: int | pd.Series[int]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(pd.DataFrame({"run_id": run_ids, "server_round": numbers}))


def machines_usd(held: pd.Series[float], machines: Mapping[str, float], price: VmPrice) -> pd.Series[float]:
    """Return what each round's share of some machines costs; what rounding and the minimum add is in round 0.

    Parameters
    ----------
    held
        Of :func:`held_seconds`.
    machines
        How many, by run; all of them are held for the whole run.
    """
    run_ids = held.index.get_level_values("run_id")
    shares = held * run_ids.map(machines).to_numpy(dtype="float64") * price.per_hour / 3600
    totals = held.groupby(level="run_id", sort=False).sum()
    billed = pd.Series(vm_usd(totals.index.map(machines).to_numpy(dtype="float64"), totals, price), totals.index)
    rest = billed - shares.groupby(level="run_id", sort=False).sum()
    is_around = held.index.get_level_values("server_round") == AROUND
    costs: pd.Series[float] = shares + rest.reindex(run_ids).to_numpy() * is_around
    return costs
