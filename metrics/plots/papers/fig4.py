"""Accuracy and time of each round in the paper's setting, the published curve beside ours, after its Fig. 4."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from metrics.analysis.checks.weight_agreement import identity_notes
from metrics.analysis.labels import label_runs
from metrics.collect.tables import Tables
from metrics.collect.units import seconds
from metrics.plots.parts.by_round import bands, draw_lines, draw_target, median_by_round
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import PUBLISHED, annotate, new_figure, source_notes, what_was_learnt, wrapped
from metrics.published import CHADHA, rounds

_PANEL = ["model", "local_epochs"]
_SYSTEM = [*_PANEL, "cell", "system", "backend", "target_accuracy"]
_BEYOND = 1.25  # of our rounds: how far the published curve is drawn
THEIRS = f"published, {CHADHA.short}"


def in_their_setting(runs: pd.DataFrame) -> pd.Series[bool]:
    """Whether each labelled run is one that was published: 100 of 100 clients, sorted shards, adam, 5 or 10 epochs."""
    published = rounds()[_PANEL].drop_duplicates().assign(is_published=True)
    known = runs[_PANEL].merge(published, how="left")["is_published"].eq(True).to_numpy()
    everyone = (runs["clients"] == 100) & (runs["clients_per_round"] == 100)
    same: pd.Series[bool] = everyone & (runs["optimizer"] == "adam") & runs["partition"].str.startswith("shards")
    return same & known


def data(tables: Tables) -> pd.DataFrame:
    """Return the median accuracy and seconds of each round and system, and what was published (one run)."""
    runs = label_runs(tables["runs"])
    runs = runs[in_their_setting(runs)]
    of_rounds = runs[["run_id", *_SYSTEM]].merge(tables["rounds"], on="run_id", sort=False)
    if of_rounds.empty:
        return pd.DataFrame()
    accuracy = median_by_round(of_rounds, _SYSTEM, "test_accuracy").assign(quantity="test_accuracy")
    times = median_by_round(of_rounds, _SYSTEM, "round_s").assign(quantity="round_s")
    theirs = rounds().merge(runs[_PANEL].drop_duplicates()).assign(system=THEIRS, backend="published", cell="", n=1)
    columns = [*_PANEL, "cell", "system", "backend", "server_round", "n", "test_accuracy", "round_s"]
    return pd.concat([accuracy, times, theirs[columns]], ignore_index=True)


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw two panels per model and number of epochs: accuracy, and seconds of a round."""
    settings = list(shown[_PANEL].drop_duplicates().sort_values(_PANEL).itertuples(index=False))
    ours = shown[shown["backend"] != "published"]
    notes = wrapped(bands(ours), *identity_notes(tables), *_notes(shown), *source_notes(tables))
    figure, axes = new_figure(len(settings), 2, 2.9, below=len(notes))
    for (accuracy, time), (model, epochs) in zip(axes, settings, strict=True):
        rows = shown[(shown["model"] == model) & (shown["local_epochs"] == epochs)]
        _draw_quantity(accuracy, rows, "test_accuracy")
        draw_target(accuracy, rows["target_accuracy"].dropna().min())
        accuracy.set_title(f"{model}, E={epochs}, test accuracy")
        _draw_quantity(time, rows, "round_s")
        time.set_yscale("log")
        time.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # more labels would overlap
        time.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        time.yaxis.set_minor_formatter(NullFormatter())
        time.set_ylabel("seconds (log scale)")
        time.set_title("wall time of a round")
    axes[0][0].legend(loc="lower right", fontsize=8)
    annotate(figure, "Accuracy and time per round", what_was_learnt(tables), notes)
    return figure


def _draw_quantity(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    ours, theirs = rows[rows["quantity"] == column], rows[rows["backend"] == "published"]
    last = max(2.0, _BEYOND * ours["server_round"].max())
    theirs = theirs[theirs["server_round"] <= last]
    axes.plot(theirs["server_round"], theirs[column], color=PUBLISHED, linewidth=1, linestyle=":", label=THEIRS)
    for _, of_cell in ours.groupby("cell", sort=False):
        draw_lines(axes, of_cell, column)
    axes.set_xlim(0, last)


def _notes(shown: pd.DataFrame) -> list[str]:
    lines = [
        f"Published (dotted): {CHADHA.citation}, Fig. 4. {CHADHA.differences} Drawn as far as {_BEYOND:g} times our "
        "rounds; all of it is in the CSV."
    ]
    for (model, epochs), rows in shown.groupby(_PANEL, sort=True):
        reached = "; ".join(_reached(of_system) for _, of_system in rows.groupby(["cell", "system"], sort=False))
        lines.append(f"{model}, E={epochs}, first round at 95 % (median curve) and mean seconds of a round: {reached}.")
    return lines


def _reached(rows: pd.DataFrame) -> str:
    accuracy, times = rows.dropna(subset=["test_accuracy"]), rows.dropna(subset=["round_s"])
    at = accuracy.loc[accuracy["test_accuracy"] >= 0.95, "server_round"].min()
    when = f"round {at:g}" if pd.notna(at) else f"not within {accuracy['server_round'].max():g}"
    return f"{rows['system'].iloc[0]} {when}, {seconds(float(times['round_s'].mean()))}"


CHART = Chart(
    "fig4",
    "no run has the published setting (cnn or nn, adam, 100 of 100 clients, sorted shards, 5 or 10 local epochs) "
    "and a finished round.",
    data,
    draw,
)
