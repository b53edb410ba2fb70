"""Accuracy, total and mean round time by configuration: clients invoked, updates waited for, memory, rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metrics.analysis.labels import label_runs
from metrics.analysis.statistics import median
from metrics.collect.tables import Tables, records
from metrics.collect.units import write
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.dots import Dot, draw_dots
from metrics.plots.parts.marks import backend_marks
from metrics.plots.parts.style import (
    LEGEND_LINES,
    PUBLISHED,
    annotate,
    backend_colour,
    new_figure,
    source_notes,
    what_was_learnt,
    wrapped,
    write_legend,
)
from metrics.published import RGG, grid

_MEMORY = "function_memory_mb"  # null where no function was involved
_CONFIGURATION = ["max_rounds", "clients_per_round", "first_k", _MEMORY]
_QUANTITIES = {
    "best_test_accuracy": ("best test accuracy", "accuracy"),
    "learning_s": ("all rounds", "s"),
    "mean_round_s": ("mean round", "s"),
}
_THEIRS = {"openwhisk": f"OpenWhisk, {RGG.short}", "vanilla": f"classical server, {RGG.short}"}
_MARKS = {"openwhisk": "D", "vanilla": "s"}


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per configuration and system: medians over the finished runs; published times of equal labels.

    ``first_k`` is the number of updates that ended a round; without that policy, all ``clients_per_round``. Systems
    without functions always wait for all, and stand beside every ``first_k`` of the functions that learn the same.
    """
    runs = label_runs(tables["runs"])
    runs = runs[(runs["status"] == "success") & (runs["rounds"] > 0)]
    runs = runs.assign(
        first_k=runs["first_k"].fillna(runs["clients_per_round"]), mean_round_s=runs["learning_s"] / runs["rounds"]
    )
    learnt = [name for name in _CONFIGURATION if name != _MEMORY]
    runs = runs.sort_values(learnt, kind="stable", ignore_index=True)
    if len(runs[learnt].drop_duplicates()) < 2 and runs[_MEMORY].nunique() < 2:
        return pd.DataFrame()
    keys = ["cell", "system", "backend", *_CONFIGURATION]
    rows = [
        {**dict(zip(keys, values, strict=True)), "n": len(found), **_medians(found)}
        for values, found in runs.groupby(keys, sort=False, dropna=False)
    ]
    return pd.concat([pd.DataFrame(rows), _published(runs)], ignore_index=True)


def _medians(runs: pd.DataFrame) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in _QUANTITIES:
        found = median(runs[name].astype("float64"))
        columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return columns


def _published(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the published times of the configurations that we have too, under the same cell."""
    theirs = grid().rename(columns={"memory_mb": _MEMORY, "total_s": "learning_s"})
    functions = theirs[theirs["system"] == "openwhisk"].merge(runs[["cell", *_CONFIGURATION]].drop_duplicates())
    plain = [name for name in _CONFIGURATION if name != _MEMORY]
    server = theirs[theirs["system"] == "vanilla"].merge(runs[["cell", *plain]].drop_duplicates(), on=plain)
    found = pd.concat([functions.sort_values(_MEMORY), server]).assign(backend="published", n=1)
    # their accuracies are no comparison: see RGG.differences
    return found[["cell", "system", "backend", *_CONFIGURATION, "n", "learning_s", "mean_round_s"]]


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw three panels, a row per configuration in each."""
    shown = shown.assign(row=[_label(row) for row in records(shown)])
    labels = list(dict.fromkeys(shown["row"]))
    most = shown.groupby("row")["system"].nunique().max()
    notes = wrapped(*_notes(shown), *source_notes(tables))
    figure, (panels,) = new_figure(
        1, len(_QUANTITIES), 0.9 + 0.19 * (most + 0.5) * len(labels), below=len(notes) + LEGEND_LINES
    )
    for panel, (column, (title, unit)) in zip(panels, _QUANTITIES.items(), strict=True):
        dots = [_dot(row, column, unit) for row in records(shown.dropna(subset=[column]))]
        start = _accuracy_from(dots) if unit == "accuracy" else 0.0
        draw_dots(panel, dots, labels, step=0.8 / most, labelled=panel is panels[0], start=start)
        if unit == "accuracy":
            panel.set_xticks([tick for tick in panel.get_xticks() if start <= tick <= 1])
        panel.set_title(title)
    panels[0].tick_params(axis="y", labelsize=8)
    write_legend(figure, _legend(shown), notes=len(notes))
    annotate(figure, "Accuracy and time by configuration", what_was_learnt(tables), notes)
    return figure


def _accuracy_from(dots: Sequence[Dot]) -> float:
    """Return where an axis of accuracies begins: below all of them, at a twentieth."""
    lowest = min((dot.low or dot.value for dot in dots), default=0.0)
    return max(0.0, math.ceil(20 * lowest - 2) / 20)


def _label(row: dict[str, Any]) -> str:
    waits = "all" if row["first_k"] == row["clients_per_round"] else f"the first {row['first_k']:g}"
    return f"{row['clients_per_round']} a round,\nfunctions wait for {waits},\n{row['max_rounds']} rounds"


def _dot(row: dict[str, Any], column: str, unit: str) -> Dot:
    value, text = float(row[column]), write(row[column], unit)
    waits = "" if row["first_k"] == row["clients_per_round"] else f", all {row['clients_per_round']}"
    memory = waits if pd.isna(row[_MEMORY]) else f", {row[_MEMORY]:g} MB"
    if row["backend"] == "published":
        memory = memory if row["system"] == "openwhisk" else ""  # its server waited for the first k, too
        return Dot(row["row"], PUBLISHED, value, text + memory, hollow=True, marker=_MARKS[row["system"]])
    low, high = (None if pd.isna(row[f"{column}_{end}"]) else row[f"{column}_{end}"] for end in ("low", "high"))
    return Dot(row["row"], backend_colour(row["backend"]), value, text + memory, low, high)


def _legend(shown: pd.DataFrame) -> list[Line2D]:
    handles = backend_marks(shown[shown["backend"] != "published"])
    for system in shown.loc[shown["backend"] == "published", "system"].unique():
        marker = _MARKS[system]
        handles.append(Line2D([], [], color="none", marker=marker, mfc="white", mec=PUBLISHED, label=_THEIRS[system]))
    return handles


def _notes(shown: pd.DataFrame) -> list[str]:
    lines = ["Medians over n finished runs, lines: exact 95 % interval where n is 6 or more; MB: the functions' limit."]
    if (shown["backend"] == "published").any():
        lines.append(f"Published (hollow, n = 1): {RGG.citation}. {RGG.differences}")
    return lines


CHART = Chart(
    "rgg", "no two finished runs differ in clients per round, updates waited for, memory or rounds.", data, draw
)
