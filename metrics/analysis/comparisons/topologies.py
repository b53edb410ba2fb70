"""FedKeeper's topology beside the direct one: differences within pairs of one seed, in time and money per round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from metrics.analysis.kpis import per_run
from metrics.analysis.labels import PAIRED_BY
from metrics.analysis.statistics import Median, median, pairs, permutation_p
from metrics.collect.cost_table import AROUND, COST
from metrics.collect.tables import Tables

DIRECT, FEDKEEPER = "direct", "fedkeeper"
DIFFERENCE, RATIO = "difference", "ratio"
MEASURES = {"median_round_s": "s", "median_round_function_usd": "usd", "usd_per_round": "usd"}
_BY_USE = ("functions", "invokers", "aggregator")


def topologies(tables: Tables) -> pd.DataFrame:
    """Compare the finished runs of both topologies, seed by seed.

    Returns
    -------
    DataFrame
        Per cell and measure four rows, whose ``kind`` is ``direct``, ``fedkeeper``, ``difference`` (fedkeeper less
        direct, of each pair) and ``ratio`` (fedkeeper over direct): ``n`` pairs, their median ``value`` with the exact
        interval ``low`` to ``high`` and its ``coverage`` (null below n = 6), and for the difference ``p_value`` (of no
        difference, by permutation of signs). Measures: ``median_round_s``, the median round of a run;
        ``median_round_function_usd``, what functions are billed for in the median round, invokers included;
        ``usd_per_round``, all items, cold first rounds too.
    """
    runs = per_run(tables)
    able = runs.loc[runs["topology"] == FEDKEEPER, "backend"]  # whose functions can invoke others
    runs = runs[(runs["status"] == "success") & runs["backend"].isin(able)]
    function_usd = runs["run_id"].map(_function_usd(tables)).astype("float64")  # of no runs, not of text
    runs = runs.assign(median_round_function_usd=function_usd)
    latest = runs.drop_duplicates([*PAIRED_BY, "topology"], keep="last")
    rows = [row for cell, of_cell in latest.groupby("cell", sort=False) for row in _of_cell(str(cell), of_cell)]
    return pd.DataFrame(rows)


def _function_usd(tables: Tables) -> pd.Series[float]:
    """Return what functions would cost in the median round of each run, by the first scenario; null without a price."""
    cost = tables.get(COST)
    if cost is None or cost.empty:
        return pd.Series(dtype="float64")
    first = cost.drop_duplicates("run_id")[["run_id", "pricing", "memory_mb"]]
    mine = cost.merge(first, on=["run_id", "pricing", "memory_mb"])
    mine = mine[mine["item"].isin(_BY_USE) & (mine["server_round"] != AROUND)]
    mine = mine.drop_duplicates(["run_id", "server_round", "item", "fabric_group"])
    sums = mine.groupby(["run_id", "server_round"])["usd"].agg(lambda usd: usd.sum(skipna=False))
    medians: pd.Series[float] = sums.groupby(level="run_id").agg(lambda usd: usd.median(skipna=False))
    return medians


def _of_cell(cell: str, runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for measure, unit in MEASURES.items():
        paired = pairs(runs, measure, side="topology", left=DIRECT, right=FEDKEEPER, by=PAIRED_BY)
        left, right = (paired[side].astype("float64") for side in ("left", "right"))
        if paired.empty:
            continue
        same = {"cell": cell, "measure": measure}
        difference = right - left
        yield {**same, "kind": DIRECT, "unit": unit, **_columns(median(left))}
        yield {**same, "kind": FEDKEEPER, "unit": unit, **_columns(median(right))}
        tested = {"p_value": permutation_p(difference)}
        yield {**same, "kind": DIFFERENCE, "unit": unit, **_columns(median(difference)), **tested}
        yield {**same, "kind": RATIO, "unit": "ratio", **_columns(median(right / left))}


def _columns(found: Median) -> dict[str, Any]:
    return {name: value for name, value in asdict(found).items() if name != "is_lower_bound"}
