"""What FedKeeper's invokers cost: time and money per round with and without them, paired by seed."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metrics.analysis.comparisons.paired_tests import write_p
from metrics.analysis.comparisons.topologies import DIFFERENCE, DIRECT, FEDKEEPER, MEASURES, RATIO, topologies
from metrics.analysis.statistics import FEWEST, Median, write_median
from metrics.collect.tables import Tables, records
from metrics.collect.units import write
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.dots import Dot, draw_dots
from metrics.plots.parts.style import annotate, new_figure, source_notes, under, what_was_learnt, wrapped

_COLOURS = {DIRECT: "#0072B2", FEDKEEPER: "#D55E00", DIFFERENCE: "#333333"}
_TITLES = {
    "median_round_s": "Median round",
    "median_round_function_usd": "Functions, USD, median round",
    "usd_per_round": "All items, USD per round, mean",
}
_ROWS = {DIRECT: "direct", FEDKEEPER: "fedkeeper", DIFFERENCE: "fedkeeper\nless direct"}


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a row of panels per cell: both topologies, and their difference within pairs, by measure."""
    cells = list(dict.fromkeys(shown["cell"]))
    measures = [measure for measure in MEASURES if (shown["measure"] == measure).any()]
    notes = wrapped(
        "direct: the keeper invokes the clients' functions. fedkeeper: it invokes an invoker function for each client, "
        "which reads the weights, hands a copy on, invokes the client and waits for it, billed all the while.",
        _sure(shown),
        *(_line(shown, cell, measure) for cell in cells for measure in measures),
        _cold(tables),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(cells), len(measures), 1.75, below=len(notes))
    for row, cell in zip(axes, cells, strict=True):
        for panel, measure in zip(row, measures, strict=True):
            mine = shown[(shown["cell"] == cell) & (shown["measure"] == measure)]
            _draw_panel(panel, mine, labelled=panel is row[0])
            panel.set_title(under(cell if panel is row[0] else "", _TITLES[measure]), fontsize=9)
    annotate(figure, "Direct against FedKeeper's topology", what_was_learnt(tables), notes)
    return figure


def _draw_panel(panel: Axes, rows: pd.DataFrame, *, labelled: bool) -> None:
    dots = [_dot(row) for row in records(rows) if row["kind"] in _ROWS]
    lowest = min(0.0, *(min(dot.value, dot.value if dot.low is None else dot.low) for dot in dots))
    draw_dots(panel, dots, list(_ROWS.values()), step=0.0, labelled=labelled, start=1.05 * lowest)
    panel.tick_params(axis="x", labelbottom=False, length=0)
    panel.axvline(0.0, color="#333333", linewidth=0.6)


def _dot(row: dict[str, Any]) -> Dot:
    found = _median(row)
    text, kind = write_median(found, row["unit"]), row["kind"]
    return Dot(_ROWS[kind], _COLOURS[kind], found.value, text, found.low, found.high, hollow=kind == DIFFERENCE)


def _median(row: dict[str, Any]) -> Median:
    low, high = (None if pd.isna(row[name]) else float(row[name]) for name in ("low", "high"))
    return Median(row["value"], row["n"], low, high)


def _sure(shown: pd.DataFrame) -> str:
    pairs = f"Medians over n = {shown['n'].max()} pairs of one seed"
    if shown["n"].max() < FEWEST:
        return f"{pairs}: too few for intervals and tests (below {FEWEST})."
    return f"{pairs}; in brackets and as a line, the exact interval of the median (at least 95 %)."


def _line(shown: pd.DataFrame, cell: str, measure: str) -> str:
    """Say in words what the panel of a measure shows: the difference, the ratio, and how surprising they would be."""
    mine = {row["kind"]: row for row in records(shown[(shown["cell"] == cell) & (shown["measure"] == measure)])}
    difference, ratio = mine[DIFFERENCE], mine[RATIO]
    tested = f"{write_median(_median(ratio), RATIO)}, {write_p(difference['n'], difference['p_value'])}"
    sign = "+" if difference["value"] > 0 else ""
    return f"{_TITLES[measure]}: {sign}{write(difference['value'], difference['unit'])}, {tested}."


def _cold(tables: Tables) -> str:
    """Say how many invokers began cold: each client has its own, which is warm from its second time on."""
    invokers = tables["invocations"].query("function == 'invoker'")
    return f"{int(invokers['is_cold'].eq(True).sum())} of {len(invokers)} invokers began cold." if len(invokers) else ""


CHART = Chart("topology", "no two runs of one seed differ in topology=direct and topology=fedkeeper.", topologies, draw)
