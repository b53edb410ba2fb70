"""A fabric's platforms side by side, from ``invocations`` alone."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from metrics.collect.cost_table import COST

_KEYS = ["run_id", "place"]
_GIB = 2**30


def placed(invocations: pd.DataFrame) -> pd.DataFrame:
    """Return the attempts of clients on platforms, with ``place``: the fabric's group, else the platform."""
    calls = invocations[(invocations["function"] == "client") & invocations["platform"].notna()]
    return calls.assign(place=calls["fabric_group"].fillna(calls["platform"]))


def by_platform(invocations: pd.DataFrame) -> pd.DataFrame:
    """Return a row per run and place.

    Returns
    -------
    DataFrame
        ``run_id``, ``place``, ``platform``, ``clients`` (that were asked), ``attempts``, ``failures``, ``cold_starts``,
        ``warm_client_s`` (median of warm attempts that counted, by the keeper's clock), ``cpu_s`` (all attempts),
        ``gb_s`` (what providers bill: seconds by the platform's record, the function's own where it keeps none, times
        the memory limit in GiB) and ``slowest_share`` (of the rounds in which one of its clients was the last to
        deliver).
    """
    calls = placed(invocations)
    counted = calls[calls["status"] == "success"]
    warm = counted[counted["is_cold"].eq(False)]
    billed_s = calls["provider_s"].fillna(calls["function_s"]).astype("float64")
    calls = calls.assign(gb_s=billed_s * calls["memory_limit_bytes"].astype("float64") / _GIB)
    found = calls.groupby(_KEYS, sort=False).agg(
        platform=("platform", "last"),
        clients=("client_id", "nunique"),
        attempts=("client_id", "size"),
        failures=("status", lambda status: int((status == "failed").sum())),
        cold_starts=("is_cold", lambda cold: int(cold.eq(True).sum())),
        cpu_s=("cpu_s", "sum"),
        gb_s=("gb_s", "sum"),
    )
    found["warm_client_s"] = warm.groupby(_KEYS)["client_s"].median().astype("float64").reindex(found.index)
    last = slowest(invocations)
    rounds = last.groupby("run_id")["server_round"].size()
    times = last.groupby(_KEYS).size().reindex(found.index, fill_value=0)
    found["slowest_share"] = times / rounds.reindex(found.index.get_level_values("run_id")).to_numpy()
    return found.reset_index()


def slowest(invocations: pd.DataFrame) -> pd.DataFrame:
    """Return, per run and round, the client whose update counted and took longest: its place and its ``client_s``.

    Slow is who took long, not who was asked late: ``client_s`` counts from each attempt's own submission.
    """
    calls = placed(invocations)
    counted = calls[(calls["status"] == "success") & calls["client_s"].notna()]
    last = counted.sort_values("client_s").drop_duplicates(["run_id", "server_round"], keep="last")
    return last.sort_values(["run_id", "server_round"])[
        ["run_id", "server_round", "place", "platform", "client_id", "client_s"]
    ].reset_index(drop=True)


def usd_by_place(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what the functions of each group of a fabric would cost, by that group's own price list.

    Returns
    -------
    DataFrame
        A row per run and place: ``run_id``, ``place``, ``pricing`` (name of the list), ``usd_per_round`` (all of its
        functions, the aggregator where it runs there; null if a price is not known). Empty where no group has prices of
        its own.
    """
    columns = ["run_id", "place", "pricing", "usd_per_round"]
    cost = tables.get(COST)
    if cost is None or cost["fabric_group"].isna().all():
        return pd.DataFrame(columns=columns)
    mine = cost[cost["fabric_group"].notna()].drop_duplicates(["run_id", "server_round", "item", "fabric_group"])
    mine = mine.assign(place=mine["fabric_group"], pricing=mine["source"].str.partition(": ")[0])
    found = mine.groupby(["run_id", "place", "pricing"], sort=False)["usd"].agg(lambda usd: usd.sum(skipna=False))
    rounds = tables["runs"].set_index("run_id")["rounds"]
    shown = found.rename("usd_per_round").reset_index()
    shown["usd_per_round"] = shown["usd_per_round"] / shown["run_id"].map(rounds).where(lambda n: n > 0)
    return shown[columns]
