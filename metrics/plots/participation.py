"""How often each client took part: what selecting by speed, deadlines and failures did to that."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from metrics.analysis.comparisons.clients import evenness, participation
from metrics.analysis.comparisons.platforms import placed
from metrics.analysis.labels import label_runs
from metrics.collect.tables import Tables
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import (
    annotate,
    backend_colour,
    new_figure,
    source_notes,
    under,
    what_was_learnt,
    wrapped,
)
from metrics.plots.platforms import PLACES

_KEYS = ["cell", "system", "client_id"]


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system and client, of those whose clients did not take part equally often.

    ``n`` runs; ``counted`` is the mean number of rounds that the client was part of, 0 for one that was never asked;
    ``evenness`` is the median of the runs'.
    """
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "backend", "clients"]]
    everybody = runs.loc[runs.index.repeat(runs["clients"])].copy()
    everybody["client_id"] = everybody.groupby(["run_id", "cell"]).cumcount()
    found = everybody.merge(participation(tables["invocations"]), on=["run_id", "client_id"], how="left")
    found["counted"] = found["counted"].fillna(0)
    once = found.drop_duplicates(["run_id", "client_id"])  # a run may stand in several cells
    by_run = {run_id: evenness(of_run["counted"], len(of_run)) for run_id, of_run in once.groupby("run_id")}
    where = placed(tables["invocations"]).drop_duplicates(["run_id", "client_id"], keep="last")
    found = found.merge(where[["run_id", "client_id", "place"]], on=["run_id", "client_id"], how="left")
    found["evenness"] = found["run_id"].map(by_run).astype("float64")
    shown = found.groupby(_KEYS, sort=False).agg(
        n=("run_id", "nunique"),
        backend=("backend", "first"),
        place=("place", "last"),
        counted=("counted", "mean"),
        evenness=("evenness", "median"),
    )
    return shown[shown["evenness"] < 1.0 - 1e-9].reset_index()


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per cell and system: rounds that each client was part of, the most frequent first, by place."""
    panels = list(shown.groupby(["cell", "system"], sort=False))
    notes = wrapped(
        "Rounds whose average holds the client's update, mean over the runs, clients in descending order. Evenness: "
        "Jain's index, 1 if all took part equally often.",
        *(
            ", ".join(filter(None, [str(cell), str(system), f"n = {rows['n'].max()}."]))
            for (cell, system), rows in panels
        ),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(panels), 1, 2.2, below=len(notes))
    for (panel,), ((cell, system), rows) in zip(axes, panels, strict=True):
        ranked = rows.sort_values(["counted", "client_id"], ascending=[False, True]).assign(rank=range(len(rows)))
        places = ranked["place"].astype("object").where(ranked["place"].notna(), "no platform")
        taken = sorted(set(places[ranked["counted"] > 0]))
        colours = PLACES if len(taken) > 1 else [backend_colour(rows["backend"].iloc[0])]
        for place, colour in zip(taken, colours, strict=False):
            mine = ranked[places == place]
            panel.bar(mine["rank"], mine["counted"], width=0.9, color=colour, label=place)
        panel.set_title(under(cell, f"{system}, evenness {rows['evenness'].iloc[0]:.3f}"))
        panel.set_xlim(-1, len(ranked))
        panel.set_ylabel("rounds")
        panel.set_xlabel("clients")
        if len(taken) > 1:
            panel.legend(loc="upper right", fontsize=8)
    annotate(figure, "Who took part", what_was_learnt(tables), notes)
    return figure


CHART = Chart("participation", "no run whose clients took part unequally often.", data, draw)
