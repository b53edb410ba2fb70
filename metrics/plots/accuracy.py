"""Test accuracy by round: one line per system, visibly on top of each other where the learning is the same."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metrics.analysis.checks.weight_agreement import identity_notes
from metrics.analysis.labels import label_runs
from metrics.collect.tables import Tables
from metrics.plots.parts.by_round import bands, draw_lines, draw_target, median_by_round
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.marks import backend_marks
from metrics.plots.parts.style import (
    LEGEND_LINES,
    annotate,
    new_figure,
    source_notes,
    what_was_learnt,
    wrapped,
    write_legend,
)

_COLUMNS = 2  # panels in a row, where an experiment has several cells


def data(tables: Tables) -> pd.DataFrame:
    """Return the median test accuracy of each cell, system and round, over the seeds that reached that round."""
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "backend", "target_accuracy"]]
    rounds = runs.merge(tables["rounds"], on="run_id", sort=False)
    return median_by_round(rounds, ["cell", "system", "backend", "target_accuracy"], "test_accuracy")


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per cell."""
    cells = list(shown["cell"].unique())
    columns = min(_COLUMNS, len(cells))
    notes = wrapped(bands(shown), *identity_notes(tables), *source_notes(tables))
    height, below = (3.6, len(notes)) if columns == 1 else (2.6, len(notes) + LEGEND_LINES)
    figure, axes = new_figure(-(-len(cells) // columns), columns, height, below=below)
    panels = [panel for row in axes for panel in row]
    for panel, cell in zip(panels, cells, strict=False):
        _draw_cell(panel, shown[shown["cell"] == cell])
        panel.set_title(cell)
    for panel in panels[len(cells) :]:
        panel.set_visible(False)
    if columns == 1:
        panels[0].legend(loc="lower right")
    else:
        write_legend(figure, backend_marks(shown), notes=len(notes))
    annotate(figure, "Test accuracy by round", what_was_learnt(tables), notes)
    return figure


def _draw_cell(axes: Axes, shown: pd.DataFrame) -> None:
    draw_lines(axes, shown, "test_accuracy")
    draw_target(axes, shown["target_accuracy"].iloc[0])
    axes.set_ylabel("test accuracy")


CHART = Chart("accuracy", "no run has finished a round.", data, draw)
