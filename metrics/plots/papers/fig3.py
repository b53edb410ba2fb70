"""Rounds to the target accuracy by clients per round, optimizer and local epochs, after Fig. 3 of Chadha et al."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metrics.analysis.labels import label_runs
from metrics.analysis.statistics import Median, median
from metrics.collect.tables import Tables
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.marks import range_of
from metrics.plots.parts.style import (
    LEGEND_LINES,
    OPTIMIZERS,
    OTHER,
    PUBLISHED,
    annotate,
    new_figure,
    source_notes,
    wrapped,
    write_legend,
)
from metrics.published import CHADHA, rounds_to_target

_VARIED = ["clients_per_round", "optimizer", "local_epochs"]
_PANEL = ["model", "local_epochs", "target_accuracy"]
_SETTING = [*_PANEL, "optimizer", "clients_per_round"]
_WIDTH = 0.8  # of the room between two client counts, for all marks there
OURS, THEIRS = "ours", CHADHA.short


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per setting and seed, and beside it, per published run.

    Systems that learnt the same are one row: their rounds are no independent observations. A target that no system
    reached is censored at the most rounds that one ran. ``median``, with its interval, is that of the setting.
    """
    runs = label_runs(tables["runs"])
    runs = runs[runs["target_accuracy"].notna() & (runs["rounds"] > 0)]
    if len(runs[_VARIED].drop_duplicates()) < 2:
        return pd.DataFrame()
    rows = [_observed(of_seed) for _, of_seed in runs.groupby(["cell", "seed"], sort=False)]
    ours = pd.concat(rows).assign(source=OURS)
    return pd.concat([_with_median(ours), _with_median(_published(runs))], ignore_index=True)


def _observed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what one seed of a cell needed: one row, or one for each answer where systems learnt differently."""
    reached = runs.dropna(subset=["rounds_to_target"])
    found = reached.assign(is_censored=False) if len(reached) else runs.assign(is_censored=True)
    found = found.assign(rounds_to_target=found["rounds_to_target"].fillna(found["rounds"].max()))
    found = found.assign(systems=", ".join(dict.fromkeys(runs["system"])))
    return found.drop_duplicates(["rounds_to_target"])[
        [*_SETTING, "cell", "seed", "rounds_to_target", "is_censored", "systems"]
    ]


def _published(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the published runs of the panels and optimizers that we have, where the setting is theirs."""
    comparable = runs[(runs["clients"] == 100) & runs["partition"].str.startswith("shards")]
    theirs = rounds_to_target().merge(comparable[[*_PANEL, "optimizer"]].drop_duplicates())
    return theirs.assign(cell="", is_censored=False, source=THEIRS)


def _with_median(found: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for _, rows in found.groupby([*_SETTING, "cell"], sort=False):
        middle = median(rows["rounds_to_target"], list(rows["is_censored"]))
        parts.append(rows.assign(**_columns(middle)))
    return pd.concat(parts) if parts else found


def _columns(found: Median) -> dict[str, Any]:
    interval = {"interval_low": found.low, "interval_high": found.high}
    return {"n": found.n, "median": found.value, "median_is_lower_bound": found.is_lower_bound, **interval}


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per model, number of local epochs and target."""
    panels = list(shown.loc[shown["source"] == OURS, _PANEL].drop_duplicates().sort_values(_PANEL).itertuples())
    columns = min(2, len(panels))
    notes = wrapped(*_notes(shown), *source_notes(tables))
    figure, axes = new_figure(-(-len(panels) // columns), columns, 3.2, below=len(notes) + LEGEND_LINES)
    optimizers = sorted(shown["optimizer"].unique(), key=_rank)
    flat = [axis for row in axes for axis in row]
    for axis, panel in zip(flat, panels, strict=False):
        chosen = shown[[*_PANEL]].eq([panel.model, panel.local_epochs, panel.target_accuracy]).all(axis="columns")
        _draw_panel(axis, shown[chosen], optimizers)
        axis.set_title(f"{panel.model}, E={panel.local_epochs}, rounds to {panel.target_accuracy:.0%}")
    for axis in flat[len(panels) :]:
        axis.set_visible(False)
    write_legend(figure, _legend(shown, optimizers), notes=len(notes))
    annotate(figure, "Rounds to the target accuracy", "by clients per round, optimizer and local epochs (E)", notes)
    return figure


def _draw_panel(axes: Axes, shown: pd.DataFrame, optimizers: list[str]) -> None:
    counts = sorted(shown["clients_per_round"].unique())
    series = [(optimizer, source) for optimizer in optimizers for source in (OURS, THEIRS)]
    step = _WIDTH / len(series)
    for place, (optimizer, source) in enumerate(series):
        rows = shown[(shown["optimizer"] == optimizer) & (shown["source"] == source)]
        for (count, _), of_setting in rows.groupby(["clients_per_round", "cell"], sort=False):
            x = counts.index(count) + step * (place - (len(series) - 1) / 2)
            _draw_setting(axes, x, step, of_setting)
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.set_xlim(-0.55, len(counts) - 0.45)
    axes.set_ylim(0, 1.08 * shown["rounds_to_target"].max())
    axes.set_xlabel("clients per round")
    axes.set_ylabel("rounds")
    axes.grid(axis="x", visible=False)


def _draw_setting(axes: Axes, x: float, width: float, rows: pd.DataFrame) -> None:
    colour = OPTIMIZERS.get(rows["optimizer"].iloc[0], OTHER)
    ours = rows["source"].iloc[0] == OURS
    for censored, marker in ((False, "o" if ours else "D"), (True, "^")):
        values = rows.loc[rows["is_censored"] == censored, "rounds_to_target"]
        face = colour if ours and not censored else "white"
        axes.plot([x] * len(values), values, marker, markersize=5, color=face, markeredgecolor=colour, zorder=3)
    middle, half = rows["median"].iloc[0], 0.42 * width
    line = ":" if rows["median_is_lower_bound"].iloc[0] else "-"
    axes.plot([x - half, x + half], [middle, middle], line, color=colour, linewidth=2 if ours else 1, zorder=2)
    low, high = rows["interval_low"].iloc[0], rows["interval_high"].iloc[0]
    if pd.notna(low):
        top = min(high, axes.get_ylim()[1]) if high == float("inf") else high
        axes.plot([x, x], [low, top], color=colour, linewidth=1, zorder=2)


def _legend(shown: pd.DataFrame, optimizers: list[str]) -> list[Line2D]:
    def mark(colour: str, marker: str, face: str, label: str) -> Line2D:
        return Line2D([], [], color="none", marker=marker, markerfacecolor=face, markeredgecolor=colour, label=label)

    ours = shown[shown["source"] == OURS]
    handles = [
        mark(colour, "o", colour, f"{optimizer}, n = {range_of(ours.loc[ours['optimizer'] == optimizer, 'n'])}")
        for optimizer in optimizers
        for colour in [OPTIMIZERS.get(optimizer, OTHER)]
    ]
    if shown["is_censored"].any():
        handles.append(mark(OTHER, "^", "white", "target not reached"))
    if (shown["source"] == THEIRS).any():
        handles.append(mark(PUBLISHED, "D", "white", f"published, {THEIRS}"))
    return handles


def _notes(shown: pd.DataFrame) -> list[str]:
    notes = [
        "A mark per seed (systems that learnt the same are one), a line at the median of n seeds; vertical line: exact "
        "95 % interval, where n is 6 or more. Triangle: the target was not reached within so many rounds (censored); "
        "a dotted line is a lower bound."
    ]
    theirs = shown[shown["source"] == THEIRS]
    if theirs.empty:
        return [*notes, f"No published value has this setting and target ({CHADHA.short}: 97 % nn, 99 % cnn)."]
    return [
        *notes,
        f"Published: {CHADHA.citation}, Fig. 3, n = {range_of(theirs['n'])} runs a setting. {CHADHA.differences}",
    ]


def _rank(optimizer: str) -> tuple[int, str]:
    names = list(OPTIMIZERS)
    return (names.index(optimizer) if optimizer in names else len(names), optimizer)


CHART = Chart(
    "fig3", "no two runs with a target accuracy differ in clients per round, optimizer or local epochs.", data, draw
)
