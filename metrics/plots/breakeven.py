"""The cost of an hour by how many rounds it holds: machines, by policy, against functions; and where they cross."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metrics.analysis.costs import scenario_label
from metrics.analysis.labels import BASELINE
from metrics.analysis.statistics import median
from metrics.collect.cost_table import COST
from metrics.collect.tables import Tables
from metrics.collect.units import write
from metrics.cost.breakeven import break_evens
from metrics.plots.cost import price_sources
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import annotate, backend_colour, new_figure, source_notes, what_was_learnt, wrapped

_LINE = [
    "cell",
    "pricing",
    "vm",
    "memory_mb",
    "function_system",
    "function_backend",
    "vm_system",
    "vm_backend",
    "policy",
]
_VALUES = [
    "busy_share",
    "rounds_per_hour",
    "vm_usd_per_hour",
    "vm_usd_per_round",
    "vm_round_s",
    "function_usd_per_hour",
    "function_usd_per_round",
]
_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, price list, functions, machines and policy: medians over pairs of runs of one seed.

    The bare loop is no system that anybody would deploy: it is compared only where there is no other on machines.
    """
    if COST not in tables or tables[COST].empty:
        return pd.DataFrame()
    found = break_evens(tables)
    found = found[found["busy_share"].notna()]
    deployed = found[found["vm_backend"] != BASELINE]
    rows = []
    keys = [*_LINE, "clients_per_vm"]
    for values, pairs in (deployed if len(deployed) else found).groupby(keys, sort=False, dropna=False):
        middles = {name: median(pairs[name]) for name in _VALUES}
        share = middles["busy_share"]
        rows.append(
            {
                **dict(zip(keys, values, strict=True)),
                "n": share.n,
                **{name: middle.value for name, middle in middles.items()},
                "busy_share_low": share.low,
                "busy_share_high": share.high,
            }
        )
    return pd.DataFrame(rows)


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per cell, price list and system of functions."""
    panels = shown[["cell", "pricing", "vm", "memory_mb", "function_system"]].drop_duplicates()
    several = [name for name in ("pricing", "vm", "memory_mb") if panels[name].nunique() > 1]
    notes = wrapped(
        "Each line ends where its machines are never idle (bar). Crossings: the busy share, the part of the time in "
        "which machines have a round to work at, below which functions are cheaper. List prices; rounds as long as "
        "in the bill; set-up left out. Medians over n pairs of runs of one seed.",
        *price_sources(tables[COST], shown),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(panels), 1, 3.4, below=len(notes))
    for (panel,), (_, chosen) in zip(axes, panels.iterrows(), strict=True):
        same = [
            shown[name].isna() if pd.isna(value) else shown[name].eq(value)
            for name, value in zip(panels.columns, chosen, strict=True)
        ]
        _draw_panel(panel, shown[np.logical_and.reduce([each.to_numpy() for each in same])])
        beside = panels.loc[panels["cell"] == chosen["cell"], "function_system"].nunique() > 1
        titles = [str(chosen["cell"]), *(_title(name, chosen[name]) for name in several)]
        titles += [chosen["function_system"]] if beside else []
        panel.set_title(", ".join(filter(None, titles)))
    annotate(figure, "Where functions are cheaper than machines", what_was_learnt(tables), notes)
    return figure


def _title(name: str, value: object) -> str:
    return f"{value:g} MB" if name == "memory_mb" and isinstance(value, float) else str(value)


def _draw_panel(axes: Axes, rows: pd.DataFrame) -> None:
    most = 3600 / rows["vm_round_s"].min()
    crossings = rows["rounds_per_hour"][np.isfinite(rows["rounds_per_hour"]) & (rows["rounds_per_hour"] > 0)]
    least = min(most / 1000, *(crossings / 3)) if len(crossings) else most / 1000
    functions = rows.iloc[0]
    rate = np.geomspace(least, most, 200)
    cost = functions["function_usd_per_hour"] + rate * functions["function_usd_per_round"]
    colour = backend_colour(functions["function_backend"])
    axes.plot(rate, cost, color=colour, linewidth=2.4, label=functions["function_system"])
    for (_, row), style in zip(rows.iterrows(), _STYLES * len(rows), strict=False):
        end = 3600 / row["vm_round_s"]
        rate = np.geomspace(least, end, 200)
        cost = row["vm_usd_per_hour"] + rate * row["vm_usd_per_round"]
        colour = backend_colour(row["vm_backend"])
        label = f"{row['vm_system']}, {scenario_label(row, [])}, n = {row['n']}"
        axes.plot(rate, cost, color=colour, linestyle=style, linewidth=1.8, label=label)
        axes.plot(end, cost[-1], marker="|", markersize=11, markeredgewidth=2, color=colour)
        _mark(axes, row, end)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(least, most * 1.6)
    axes.set_xlabel("rounds an hour")
    axes.set_ylabel("US dollars an hour")
    axes.legend(loc="upper left", fontsize=8)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.45)  # room for the legend


def _mark(axes: Axes, row: pd.Series[float], end: float) -> None:
    """Say where a line of machines crosses that of functions; if it does not while they are idle at times, say that."""
    rate = row["rounds_per_hour"]
    crosses = 0 < rate <= end
    at = rate if crosses else end
    cost = row["vm_usd_per_hour"] + at * row["vm_usd_per_round"]
    if crosses:
        axes.plot(rate, cost, marker="o", markersize=7, color="#222222", zorder=5)
    text = (
        f"busy {write(row['busy_share'], 'share')}"
        if crosses
        else "functions never"
        if rate == 0
        else "functions always"
    )
    axes.annotate(text, (at, cost), (-7, 4), textcoords="offset points", ha="right", va="bottom", fontsize=9, zorder=6)


CHART = Chart("breakeven", "no functions and machines of one seed have been priced.", data, draw)
