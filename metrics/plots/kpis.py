"""Every figure that a run is judged by, system by system, as small multiples."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from metrics.analysis.comparisons.paired_tests import compared, differences, write_p
from metrics.analysis.kpis import KPIS, Kpi, per_run, per_system
from metrics.analysis.statistics import FEWEST, Median, write_median
from metrics.collect.tables import Tables, records
from metrics.collect.units import NOT_MEASURED, write
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

_COLUMNS = 3
_TESTED = "warm_round_s"  # the KPI whose p-values stand below the figure; the CSV has those of all
_MOST_TOLD = 4
_MANY = 6  # cells, above which only some KPIs are drawn
_MAIN = ("best_test_accuracy", "rounds_to_target", "warm_round_s", "cpu_s", "peak_total_rss_bytes", "usd_per_round")
_STEP = 0.26  # of a row, between the dots of two systems


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system and KPI: the median over the finished runs, and its test against each other system.

    ``p_values`` names each other system of the cell with the p-value of no difference, or that n is too small.
    """
    runs = per_run(tables)
    summary = per_system(runs)
    tests = differences(runs)
    rows = [
        {**_identity(row), "kpi": kpi.column, "unit": kpi.unit, **_columns(row[kpi.column]), **_tests(tests, row, kpi)}
        for kpi in KPIS
        for _, row in summary[summary["n"] > 0].iterrows()
    ]
    shown = pd.DataFrame(rows)
    return shown.dropna(subset=["median"], ignore_index=True) if rows else shown


def _identity(row: pd.Series[Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("cell", "system", "backend")}


def _columns(found: Median) -> dict[str, Any]:
    interval = {"interval_low": found.low, "interval_high": found.high, "coverage": found.coverage}
    return {"n": found.n, "median": found.value, "is_lower_bound": found.is_lower_bound, **interval}


def _tests(tests: pd.DataFrame, row: pd.Series[Any], kpi: Kpi) -> dict[str, str]:
    mine = tests[(tests["cell"] == row["cell"]) & (tests["right"] == row["system"]) & (tests["kpi"] == kpi.column)]
    texts = [f"{test['left']}: {write_p(test['n'], test['p_value'])}" for test in records(mine)]
    return {"p_values": "; ".join(texts)}


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per KPI: a row per system, or, where there are several cells, per cell."""
    several = shown["cell"].nunique() > 1
    kpis = _drawn_kpis(shown)
    shown = shown.assign(row=shown["cell"].map(_folded) if several else _named(shown))
    rows = list(dict.fromkeys(shown["row"]))
    notes = wrapped(*_notes(shown, tables), _left_out(shown, kpis), *source_notes(tables))
    height = sum(_row_height(shown[shown["row"] == row]) for row in rows)
    below = len(notes) + (LEGEND_LINES if several else 0)
    figure, axes = new_figure(-(-len(kpis) // _COLUMNS), _COLUMNS, 0.55 + height, below=below)
    panels = [(panel, line[0]) for line in axes for panel in line]
    for (panel, leftmost), kpi in zip(panels, kpis, strict=False):
        dots = [_dot(row, kpi) for row in records(shown[shown["kpi"] == kpi.column])]
        draw_dots(panel, dots, rows, step=_STEP if several else 0.0, labelled=panel is leftmost)
        panel.tick_params(axis="y", labelsize=7.5)
        panel.tick_params(axis="x", labelbottom=False, length=0)
        panel.set_title(kpi.title, fontsize=9)
    for panel, _ in panels[len(kpis) :]:
        panel.set_visible(False)
    if several:
        write_legend(figure, backend_marks(shown), notes=len(notes))
    annotate(figure, "Every KPI by system", what_was_learnt(tables), notes)
    return figure


def _drawn_kpis(shown: pd.DataFrame) -> list[Kpi]:
    """Return the KPIs that have panels: of many cells, those that matter most."""
    few = shown["cell"].nunique() <= _MANY
    return [kpi for kpi in KPIS if (shown["kpi"] == kpi.column).any() and (few or kpi.column in _MAIN)]


def _left_out(shown: pd.DataFrame, kpis: list[Kpi]) -> str:
    left = shown["kpi"].nunique() - len(kpis)
    return (
        f"Of {shown['cell'].nunique()} cells, {len(kpis)} KPIs are drawn; {left} more are in the CSV." if left else ""
    )


def _named(shown: pd.DataFrame) -> pd.Series[str]:
    n = shown.groupby("system")["n"].transform("max")
    return shown["system"] + ", n = " + n.astype("str")


def _folded(cell: str) -> str:
    return fill(cell, 24)


def _row_height(rows: pd.DataFrame) -> float:
    """Return the inches of a row: its label's lines, or its systems' dots, whichever need more."""
    lines = 1 + str(rows["row"].iloc[0]).count("\n")
    return max(0.2, 0.14 * lines, 0.15 * rows["system"].nunique() + 0.06)


def _dot(row: dict[str, Any], kpi: Kpi) -> Dot:
    low, high = (None if pd.isna(row[name]) else float(row[name]) for name in ("interval_low", "interval_high"))
    found = Median(row["median"], row["n"], low, high, is_lower_bound=row["is_lower_bound"])
    text, colour = write_median(found, kpi.unit), backend_colour(row["backend"])
    return Dot(row["row"], colour, found.value, text, low, high, hollow=found.is_lower_bound)


def _notes(shown: pd.DataFrame, tables: Tables) -> list[str]:
    enough = shown["n"].max() >= FEWEST
    sure = (
        "in brackets and as a line, the exact interval of the median (at least 95 %)"
        if enough
        else f"n too small for intervals and tests (below {FEWEST})"
    )
    if (tables["rounds"]["stragglers"] > 0).any():
        sure += "; a round's CPU is without its stragglers', the whole run's with it"
    bounds = " Hollow, >: a lower bound, the target was not reached." if shown["is_lower_bound"].any() else ""
    lines = [f"Dots: medians over n finished runs, axes from zero; {sure}.{bounds}"]
    if not enough:
        return lines
    tests = differences(per_run(tables))
    tests = tests[tests["kpi"] == _TESTED]
    texts = [
        f"{compared(test)}: {write(test['ratio'].value, 'ratio')}, {write_p(test['n'], test['p_value'])}"
        f" (n = {test['n']} pairs)"
        for test in records(tests.head(_MOST_TOLD))
    ]
    more = f"; {len(tests) - _MOST_TOLD} more in the CSV" if len(tests) > _MOST_TOLD else ""
    title = next(kpi.title for kpi in KPIS if kpi.column == _TESTED)
    paired = f"Paired by seed, {title}: {'; '.join(texts) or NOT_MEASURED}{more}."
    return [*lines, f"{paired} Permutation test of the logarithms' mean, not corrected for the number of tests."]


CHART = Chart("kpis", "no run has finished.", data, draw)
