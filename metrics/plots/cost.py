"""What a round, and a whole run, would cost at list prices, by system, policy of machines and item."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from metrics.analysis.costs import scenario_label, varying_in
from metrics.analysis.labels import label_runs
from metrics.collect.cost_table import AROUND, COST, ESSENTIAL, ITEMS, SCENARIO
from metrics.collect.tables import Tables
from metrics.collect.units import dollars
from metrics.plots.parts.bars import Bar, bars_height, draw_bars, legend_below
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import (
    COST_ITEMS,
    LEGEND_LINES,
    annotate,
    new_figure,
    source_notes,
    under,
    what_was_learnt,
    wrapped,
)

_KEYS = ["cell", "system", "backend"]
_PANELS = {"usd_per_round": "USD per round", "usd": "USD, whole run"}


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system, scenario and item: means over the finished runs, so that items add up.

    A scenario whose functions or machines have no known price is left out; another item without one is null.
    """
    if COST not in tables or tables[COST].empty:
        return pd.DataFrame()
    runs = label_runs(tables["runs"])
    finished = runs[(runs["status"] == "success") & (runs["rounds"] > 0)][["run_id", *_KEYS, "rounds"]]
    cost = finished.merge(tables[COST], on="run_id", sort=False)
    cost["in_rounds"] = cost["usd"].where(cost["server_round"] != AROUND, 0.0)
    keys = [*_KEYS, *SCENARIO]
    unknown = cost[cost["item"].isin(ESSENTIAL) & cost["usd"].isna()]
    known = ~cost["pricing"].isin(unknown["pricing"]) | cost["policy"].notna()  # machines have always a price
    by_run = cost[known].groupby(["run_id", *keys, "item", "rounds"], sort=False, dropna=False)
    sums = by_run[["in_rounds", "usd"]].sum(min_count=1).reset_index()
    sums["usd_per_round"] = sums["in_rounds"] / sums["rounds"]
    grouped = sums.groupby([*keys, "item"], sort=False, dropna=False)
    found = grouped.agg(n=("run_id", "nunique"), usd_per_round=("usd_per_round", "mean"), usd=("usd", "mean"))
    return found.reset_index()


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw two panels per cell: a round, and the whole run."""
    varying = varying_in(tables[COST])
    shown = shown.assign(bar=[_label(row, varying) for _, row in shown.iterrows()])
    cells = list(shown["cell"].unique())
    notes = wrapped(
        "List prices, nothing was paid. Means over n runs. USD per round: without set-up and teardown. The "
        "controller's machine aggregates on the classical side. "
        + ("Rounds are modelled: all their clients at once. " if (shown["round_time"] == "modelled").any() else "")
        + _left_out(shown),
        *price_sources(tables[COST], shown),
        *source_notes(tables),
    )
    height = bars_height(shown.assign(system=shown["bar"]))
    figure, axes = new_figure(len(cells), len(_PANELS), height, below=len(notes) + LEGEND_LINES)
    for row, cell in zip(axes, cells, strict=True):
        rows = shown[shown["cell"] == cell]
        for panel, (column, title) in zip(row, _PANELS.items(), strict=True):
            draw_bars(panel, _bars(rows, column), COST_ITEMS, x_label="list prices", labelled=panel is row[0])
            panel.set_title(under(cell if panel is row[0] else "", title))
            panel.locator_params(axis="x", nbins=3)
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: dollars(value)))
    present = [item for item in ITEMS if shown.loc[shown["item"] == item, "usd"].sum() > 0]
    legend_below(figure, {item: COST_ITEMS[item] for item in present}, notes=len(notes))
    annotate(figure, "What it would cost", what_was_learnt(tables), notes)
    return figure


def price_sources(cost: pd.DataFrame, shown: pd.DataFrame) -> list[str]:
    """Name the documents that the prices are from, as far as they are shown."""
    used = cost[cost["pricing"].isin(shown["pricing"]) & cost["usd"].notna() & (cost["usd"] > 0)]
    named = []
    for name, items in (("pricing", ["functions", "egress"]), ("vm", ["vm", "controller"])):
        for label, rows in used[used["item"].isin(items)].groupby(name, sort=False):
            named.append(f"{label}: {'; '.join(rows['source'].unique())}")
    return [f"Prices: {'. '.join(named)}."] if named else []


def _left_out(shown: pd.DataFrame) -> str:
    items = [item for item in ITEMS if shown.loc[shown["item"] == item, "usd"].isna().any()]
    return f"Not in the sums, because no price was seen: {', '.join(items)}." if items else ""


def _label(row: pd.Series[Any], varying: list[str]) -> str:
    scenario = scenario_label(row, varying)
    return f"{row['system']}\n{scenario + ', ' if scenario else ''}n = {row['n']}"


def _bars(rows: pd.DataFrame, column: str) -> list[Bar]:
    bars = []
    for (label, backend), of_bar in rows.groupby(["bar", "backend"], sort=False):
        lengths = of_bar.set_index("item")[column].fillna(0.0)
        parts = {item: float(lengths[item]) for item in ITEMS if item in lengths.index}
        bars.append(Bar(str(label), str(backend), parts, dollars(sum(parts.values()))))
    return bars


CHART = Chart("cost", "no finished run has been priced; experiments.reprice does it.", data, draw)
