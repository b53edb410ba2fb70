"""Test accuracy by round: one line per system, visibly on top of each other where the learning is the same."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metrics.agreement import agreements, tell
from metrics.cells import label_runs
from metrics.kpis import Tables
from metrics.plots.chart import Chart
from metrics.plots.style import (
    annotate,
    backend_colour,
    lay_over,
    new_figure,
    source_notes,
    what_was_learnt,
    wrapped,
)
from metrics.statistics import median

_COLUMNS = 2  # panels in a row, where an experiment has several cells
_FLOATS = ("interval_low", "interval_high", "target_accuracy")  # null, not None, where there is none
_MARKED = 20  # rounds, up to which each is marked by a dot


def data(tables: Tables) -> pd.DataFrame:
    """Return the median test accuracy of each cell, system and round, over the seeds that reached that round."""
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "backend", "target_accuracy"]]
    rounds = runs.merge(tables["rounds"], on="run_id", sort=False)
    rows = []
    for keys, of_round in rounds.groupby(["cell", "system", "backend", "server_round"], sort=False):
        found = median(of_round["test_accuracy"])
        rows.append(
            {
                **dict(zip(("cell", "system", "backend", "server_round"), keys, strict=True)),
                "n": found.n,
                "test_accuracy": found.value,
                "interval_low": found.low,
                "interval_high": found.high,
                "lowest": of_round["test_accuracy"].min(),
                "highest": of_round["test_accuracy"].max(),
                "target_accuracy": of_round["target_accuracy"].iloc[0],
            }
        )
    return pd.DataFrame(rows).astype(dict.fromkeys(_FLOATS if rows else (), "float64"))


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per cell."""
    cells = list(shown["cell"].unique())
    columns = min(_COLUMNS, len(cells))
    notes = wrapped(_spread(shown), *_identity(tables), *source_notes(tables))
    figure, axes = new_figure(-(-len(cells) // columns), columns, 3.6 if columns == 1 else 2.6, below=len(notes))
    panels = [panel for row in axes for panel in row]
    for panel, cell in zip(panels, cells, strict=False):
        _draw_cell(panel, shown[shown["cell"] == cell])
        panel.set_title(cell)
    for panel in panels[len(cells) :]:
        panel.set_visible(False)
    panels[0].legend(loc="lower right")
    annotate(figure, "Test accuracy by round", what_was_learnt(tables), notes)
    return figure


def _draw_cell(axes: Axes, shown: pd.DataFrame) -> None:
    systems = list(shown["system"].unique())
    for place, system in enumerate(systems):
        rows = shown[shown["system"] == system].sort_values("server_round")
        rows = rows[rows["n"] == rows["n"].max()]  # where seeds have ended, the others' median would be another's
        n, colour = rows["n"].max(), backend_colour(rows["backend"].iloc[0])
        marker = "o" if len(rows) <= _MARKED else None
        line = lay_over(place, len(systems))
        axes.plot(
            rows["server_round"], rows["test_accuracy"], color=colour, marker=marker, label=f"{system}, n = {n}", **line
        )
        if n > 1:
            low = rows["interval_low"].fillna(rows["lowest"])
            high = rows["interval_high"].fillna(rows["highest"])
            axes.fill_between(rows["server_round"], low, high, color=colour, alpha=0.12, linewidth=0)
    target = shown["target_accuracy"].iloc[0]
    if not pd.isna(target):
        axes.axhline(target, color="#888888", linestyle=(0, (4, 3)), linewidth=1)
        axes.annotate(f"target {target:g}", (0.01, target), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("round")
    axes.set_ylabel("test accuracy (10,000 images)")


def _spread(shown: pd.DataFrame) -> str:
    n = int(shown["n"].max())
    if n == 1:
        return "One run (seed) per system, n = 1."
    band = (
        "exact 95 % interval of the median"
        if shown["interval_low"].notna().any()
        else "range (no interval below n = 6)"
    )
    return f"Lines: median over n seeds; bands: {band}."


def _identity(tables: Tables) -> list[str]:
    """Say in a line or a few whether lines lie on top of each other because the weights are the same."""
    compared = [agreement for agreement in agreements(tables) if agreement.identical is not None]
    return [f"{'Lines coincide: ' if identical else ''}{line}." for line, identical in tell(compared)]


CHART = Chart("accuracy", "no run has finished a round.", data, draw)
