"""How often each client took part: what selecting by speed, deadlines and failures did to that."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from metrics.by_platform import placed
from metrics.cells import label_runs
from metrics.kpis import Tables
from metrics.participation import evenness, participation
from metrics.plots.chart import Chart
from metrics.plots.platforms import PLACES
from metrics.plots.style import annotate, new_figure, source_notes, what_was_learnt, wrapped


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per run and client whose clients did not all take part equally often; those never asked count 0."""
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "clients", "seed"]]
    told = participation(tables["invocations"])
    groups = placed(tables["invocations"]).drop_duplicates(["run_id", "client_id"], keep="last")
    told = told.merge(groups[["run_id", "client_id", "place"]], on=["run_id", "client_id"], how="left")
    everybody = runs.loc[runs.index.repeat(runs["clients"])].copy()
    everybody["client_id"] = everybody.groupby("run_id").cumcount()
    found = everybody.merge(told, on=["run_id", "client_id"], how="left").fillna(
        {"asked": 0, "counted": 0, "share": 0.0}
    )
    found = found.assign(evenness=[_evenness(found, run_id) for run_id in found["run_id"]])
    return found[found["evenness"] < 1.0 - 1e-9].drop(columns="clients").reset_index(drop=True)


def _evenness(found: pd.DataFrame, run_id: str) -> float:
    counted = found.loc[found["run_id"] == run_id, "counted"]
    return evenness(counted, len(counted))


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per run: rounds that each client was part of, the most frequent first, by place."""
    runs = list(dict.fromkeys(shown["run_id"]))
    notes = wrapped(
        "Rounds whose average holds the client's update, clients in descending order. Evenness: Jain's index, 1 if all "
        "took part equally often.",
        *source_notes(tables),
    )
    figure, axes = new_figure(len(runs), 1, 2.2, below=len(notes))
    for (panel,), run_id in zip(axes, runs, strict=True):
        of_run = shown[shown["run_id"] == run_id].sort_values(["counted", "client_id"], ascending=[False, True])
        of_run = of_run.assign(at=range(len(of_run)))
        places = of_run["place"].astype("object").where(of_run["place"].notna(), of_run["system"])
        for place, colour in zip(dict.fromkeys(places), PLACES, strict=False):
            rows = of_run[places == place]
            panel.bar(rows["at"], rows["counted"], width=0.9, color=colour, label=str(place))
        row = of_run.iloc[0]
        words = [row["cell"], row["system"], f"seed {row['seed']}", f"evenness {row['evenness']:.3f}"]
        panel.set_title(", ".join(filter(None, words)))
        panel.set_ylabel("rounds")
        panel.set_xlabel("clients")
        panel.legend(loc="upper right", fontsize=8)
    annotate(figure, "Who took part", what_was_learnt(tables), notes)
    return figure


CHART = Chart("participation", "in every run all clients took part equally often.", data, draw)
