"""Rounds and seconds to the target accuracy by strategy: a row per strategy, a dot per system."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from metrics.analysis.labels import label_runs
from metrics.analysis.statistics import FEWEST, Median, median, write_median
from metrics.collect.tables import Tables, records
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.dots import Dot, draw_dots
from metrics.plots.parts.marks import backend_marks
from metrics.plots.parts.style import (
    LEGEND_LINES,
    annotate,
    backend_colour,
    new_figure,
    source_notes,
    what_was_learnt,
    wrapped,
    write_legend,
)

_MEASURES = {"rounds": "rounds to the target", "s": "seconds to the target"}  # by their units
_COLUMNS = ["strategy", "system", "backend", "measure", "n", "value", "low", "high", "is_lower_bound"]


def data(tables: Tables) -> pd.DataFrame:
    """Return the median of both measures by strategy and system; nothing where all runs had one strategy.

    A run that did not reach its target counts as more than the rounds and seconds that it took. Runs without a target,
    and with simulated poisoners, are left out.
    """
    runs = label_runs(tables["runs"])
    runs = runs[runs["target_accuracy"].notna() & (runs["poison"] == "")]
    if runs["strategy"].nunique() < 2:
        return pd.DataFrame(columns=_COLUMNS)
    until = runs.set_index("run_id")["rounds_to_target"].astype("float64").fillna(float("inf"))
    rounds = tables["rounds"][tables["rounds"]["server_round"] <= tables["rounds"]["run_id"].map(until)]
    taken = rounds.groupby("run_id")["round_s"]
    runs = runs.assign(rounds=runs["run_id"].map(taken.size()), s=runs["run_id"].map(taken.sum()))
    rows: list[dict[str, Any]] = []
    for (strategy, system, backend), alike in runs.groupby(["strategy", "system", "backend"], sort=False):
        for measure in _MEASURES:
            found = median(alike[measure], list(alike["rounds_to_target"].isna()))
            rows.append(dict(zip(_COLUMNS[:4], (strategy, system, backend, measure), strict=True)) | _of(found))
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"low": "float64", "high": "float64"})


def _of(found: Median) -> dict[str, Any]:
    names = ("n", "value", "low", "high", "is_lower_bound")
    return {name: getattr(found, name) for name in names}


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per measure."""
    strategies = list(dict.fromkeys(map(_named, shown["strategy"])))
    n = shown["n"].max()
    sure = "without intervals, which need six" if n < FEWEST else "with the exact interval of the median"
    notes = wrapped(
        f"Median over n = {n} seeds, {sure}. Hollow, >: a lower bound: half of the runs did not reach the target.",
        "Seconds are those of the rounds up to the target, without set-up.",
        *source_notes(tables),
    )
    height = 0.8 + 0.18 * len(strategies) * (1 + shown["system"].nunique())
    figure, (panels,) = new_figure(1, len(_MEASURES), height, below=len(notes) + LEGEND_LINES)
    for panel, (measure, title) in zip(panels, _MEASURES.items(), strict=True):
        dots = [_dot(row) for row in records(shown[shown["measure"] == measure])]
        step = 0.6 / max(1, shown["system"].nunique())
        draw_dots(panel, dots, strategies, step=step, labelled=panel is panels[0])
        panel.set_title(title, fontsize=9)
    write_legend(figure, backend_marks(shown), notes=len(notes))
    annotate(figure, "Rounds and seconds to the target, by strategy", what_was_learnt(tables), notes)
    return figure


def _dot(row: dict[str, Any]) -> Dot:
    low, high = (None if pd.isna(row[name]) else float(row[name]) for name in ("low", "high"))
    found = Median(row["value"], row["n"], low, high, is_lower_bound=row["is_lower_bound"])
    text, colour = write_median(found, row["measure"]), backend_colour(row["backend"])
    return Dot(_named(row["strategy"]), colour, found.value, text, low, high, hollow=found.is_lower_bound)


def _named(strategy: str) -> str:
    """Write the name above the parameters: beside each other they would leave little room for the panels."""
    return "\n(".join(strategy.split("(", 1))


CHART = Chart("strategies", "no two runs with a target and without poisoners differ in their strategy.", data, draw)
