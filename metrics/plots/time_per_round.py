"""Wall time of a round by system, divided into phases; the first round beside the later ones."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from metrics.analysis.kpis import phase_shares
from metrics.analysis.labels import BASELINE, label_runs
from metrics.analysis.statistics import median
from metrics.collect.phases import PHASES, UNATTRIBUTED, by_group
from metrics.collect.tables import Tables, records
from metrics.collect.units import seconds
from metrics.plots.parts.bars import Bar, bars_height, draw_bars, legend_below
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import LEGEND_LINES, annotate, new_figure, source_notes, under, what_was_learnt, wrapped
from metrics.plots.parts.style import PHASES as COLOURS

KINDS = ("later", "first")


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system and kind of round: median seconds, and each phase's part of them.

    The parts are each phase's share of the whole time of those rounds (the mean over the runs), times the median: so
    they add up to it, which medians of single phases would not.
    """
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "backend", "status"]]
    finished = runs[runs["status"] == "success"].merge(tables["rounds"], on="run_id", sort=False)
    first = finished["server_round"] == finished.groupby(["run_id", "part"], dropna=False)["server_round"].transform(
        "min"
    )
    rows = []
    for kind, rounds in (("later", finished[~first]), ("first", finished[first])):
        for keys, of_system in rounds.groupby(["cell", "system", "backend"], sort=False):
            cell, system, backend = keys
            rows.append({"cell": cell, "system": system, "backend": backend, "kind": kind, **_parts(of_system)})
    return pd.DataFrame(rows)


def _parts(rounds: pd.DataFrame) -> dict[str, float | int | None]:
    by_run = [of_run for _, of_run in rounds.groupby("run_id")]
    found = median([of_run["round_s"].median() for of_run in by_run])
    shares = pd.DataFrame([phase_shares(of_run) for of_run in by_run]).mean()
    return {
        "n": found.n,
        "rounds_per_run": len(rounds) / len(by_run),
        "round_s": found.value,
        "interval_low_s": found.low,
        "interval_high_s": found.high,
        **{f"{part}_s": float(shares[part] * found.value) for part in (*PHASES, UNATTRIBUTED)},
    }


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a row of panels per cell: the later rounds, and the first."""
    cells = list(shown["cell"].unique())
    kinds = [kind for kind in KINDS if (shown["kind"] == kind).any()]
    notes = wrapped(
        "Later rounds: median over n runs of each run's median; its parts are the phases' shares of the whole time of "
        "those rounds. First round: with what of a start was not done in the set-up; functions start in it, pools and "
        "nodes before. Scales differ between panels.",
        *source_notes(tables),
    )
    figure, axes = new_figure(len(cells), len(kinds), bars_height(shown), below=len(notes) + LEGEND_LINES)
    for row, cell in zip(axes, cells, strict=True):
        for panel, kind in zip(row, kinds, strict=True):
            rows = shown[(shown["cell"] == cell) & (shown["kind"] == kind)]
            draw_bars(panel, _bars(rows), COLOURS, x_label="seconds", labelled=panel is row[0])
            panel.set_title(under(cell if panel is row[0] else "", _title(kind, rows)))
    legend_below(figure, COLOURS, notes=len(notes))
    annotate(figure, "Wall time of a round", what_was_learnt(tables), notes)
    return figure


def _bars(rows: pd.DataFrame) -> list[Bar]:
    lowest = rows.loc[rows["backend"] == BASELINE, "round_s"]
    bars = []
    for row in records(rows):
        parts = by_group(row)
        total = seconds(row["round_s"])
        if len(lowest) == 1 and row["backend"] != BASELINE and row["kind"] == "later":
            total += f" ({row['round_s'] / lowest.iloc[0]:.2f}×)"
        bars.append(Bar(f"{row['system']}\nn = {row['n']}", row["backend"], parts, total))
    return bars


def _title(kind: str, rows: pd.DataFrame) -> str:
    if kind == "first":
        return "First round"
    fewest, most = rows["rounds_per_run"].min(), rows["rounds_per_run"].max()
    return f"Later rounds, median of {fewest:g}" + (f" to {most:g}" if most > fewest else "")


CHART = Chart("time_per_round", "no run has finished.", data, draw)
