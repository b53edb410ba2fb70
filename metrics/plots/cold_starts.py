"""How many attempts started cold, round by round, and how long a cold start took inside the workers."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from metrics.analysis.labels import label_runs
from metrics.collect.tables import Tables
from metrics.collect.units import seconds
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import (
    annotate,
    backend_colour,
    lay_over,
    new_figure,
    source_notes,
    under,
    what_was_learnt,
    wrapped,
)

_KEYS = ["cell", "system", "backend", "server_round"]


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system and round: attempts of clients, how many were cold, and their cold seconds.

    Attempts whose worker did not live to say whether it was cold are counted in ``unknown`` only.
    """
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "backend"]]
    attempts = runs.merge(tables["invocations"], on="run_id", sort=False)
    attempts = attempts[attempts["function"] == "client"]
    attempts = attempts.assign(
        unknown=attempts["is_cold"].isna(),
        cold=attempts["is_cold"].eq(True),
        cold_s=attempts["cold_start_s"].astype("float64").where(attempts["is_cold"].eq(True)),
    )
    grouped = attempts.groupby(_KEYS, sort=False)
    found = grouped.agg(
        n=("run_id", "nunique"),
        attempts=("run_id", "size"),
        unknown=("unknown", "sum"),
        cold=("cold", "sum"),
        cold_s_lowest=("cold_s", "min"),
        cold_s_median=("cold_s", "median"),
        cold_s_highest=("cold_s", "max"),
    ).reset_index()
    known = found["attempts"] - found["unknown"]
    return found.assign(cold_share=found["cold"] / known.where(known > 0))


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw two panels per cell: the cold share of each round, and the length of cold starts by round."""
    cells = list(shown["cell"].unique())
    notes = wrapped(
        "Cold: the first piece of work of a process, by the flag inside it. Seconds: from the birth of the process "
        "until it was ready to work, as far as it fell into a round (pools and nodes start in the set-up); median, and "
        "range as whiskers.",
        *_totals(tables),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(cells), 2, 2.6, below=len(notes))
    for (share, length), cell in zip(axes, cells, strict=True):
        in_cell = shown[shown["cell"] == cell]
        systems = list(in_cell["system"].unique())
        for place, system in enumerate(systems):
            rows = in_cell[in_cell["system"] == system].sort_values("server_round")
            colour = backend_colour(rows["backend"].iloc[0])
            look = lay_over(place, len(systems))
            share.plot(rows["server_round"], rows["cold_share"], color=colour, marker="o", label=system, **look)
            cold = rows[rows["cold_s_median"].notna()]
            below, above = cold["cold_s_median"] - cold["cold_s_lowest"], cold["cold_s_highest"] - cold["cold_s_median"]
            beside = cold["server_round"] + 0.12 * (place - (len(systems) - 1) / 2)
            length.errorbar(beside, cold["cold_s_median"], [below, above], fmt="o", color=colour, capsize=3)
        share.set_title(under(cell, "Cold share of clients' attempts"))
        length.set_title("Length of a cold start")
        share.set_ylim(-0.1, 1.1)
        share.yaxis.set_major_formatter(PercentFormatter(1.0))
        length.set_ylim(0, 1.15 * in_cell["cold_s_highest"].max() if in_cell["cold_s_highest"].notna().any() else 1)
        length.set_ylabel("seconds")
        for panel in (share, length):
            panel.set_xlim(0.5, in_cell["server_round"].max() + 0.5)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            panel.set_xlabel("round")
    axes[0][0].legend(loc="upper right")
    annotate(figure, "Cold starts", what_was_learnt(tables), notes)
    return figure


def _totals(tables: Tables) -> list[str]:
    """Say of each system what all its runs together came to; a run may stand in several cells, and counts once."""
    runs = label_runs(tables["runs"]).drop_duplicates("run_id")[["run_id", "system"]]
    attempts = runs.merge(tables["invocations"].query("function == 'client'"), on="run_id", sort=False)
    return [_total(str(system), rows) for system, rows in attempts.groupby("system", sort=False)]


def _total(system: str, attempts: pd.DataFrame) -> str:
    cold, unknown = attempts["is_cold"].eq(True), int(attempts["is_cold"].isna().sum())
    lengths = attempts.loc[cold, "cold_start_s"].dropna()
    longest = f", the longest {seconds(float(lengths.max()))}" if len(lengths) else ""
    doubt = f", {unknown} unknown" if unknown else ""
    counts = f"{cold.sum()} of {len(attempts)} attempts cold{doubt}{longest}"
    return f"{system}, n = {attempts['run_id'].nunique()}: {counts}."


CHART = Chart("cold_starts", "no attempt of a client was recorded.", data, draw)
