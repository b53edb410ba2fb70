"""A fabric's platforms side by side: how long warm clients took, and whose client was the slowest of each round."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metrics.by_platform import by_platform, placed, slowest
from metrics.cells import label_runs
from metrics.kpis import Tables
from metrics.plots.chart import Chart
from metrics.plots.style import annotate, new_figure, source_notes, what_was_learnt, wrapped
from metrics.units import seconds

PLACES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe and Ito


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per run, round and place: the median, quartiles and number of its clients' seconds.

    Only attempts that counted; only runs on more than one platform.
    """
    calls = placed(tables["invocations"])
    calls = calls[(calls["status"] == "success") & calls["client_s"].notna()]
    spread = calls.groupby("run_id")["place"].transform("nunique")
    runs = label_runs(tables["runs"])[["run_id", "cell", "system", "backend"]]
    found = runs.merge(calls[spread > 1], on="run_id", sort=False)
    keys = ["cell", "system", "run_id", "server_round", "place"]
    taken = found.groupby(keys, sort=False)["client_s"]
    shown = pd.DataFrame(
        {
            "clients": taken.size(),
            "client_s_low": taken.quantile(0.25),
            "client_s": taken.median(),
            "client_s_high": taken.quantile(0.75),
        }
    ).reset_index()
    last = slowest(tables["invocations"])[["run_id", "server_round", "place", "client_s", "client_id"]]
    return shown.merge(
        last.rename(columns={"client_s": "slowest_s", "client_id": "slowest_client"}),
        on=["run_id", "server_round", "place"],
        how="left",
    )


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw two panels per run: medians with quartiles by round, and the slowest client of each round."""
    runs = list(dict.fromkeys(shown["run_id"]))
    told = by_platform(tables["invocations"])
    notes = wrapped(
        "Seconds from submission to answer, of attempts that counted, by the keeper's clock: queueing, cold starts and "
        "the network are in them. Median and quartiles over a round's clients.",
        *(_line(row) for _, row in told[told["run_id"].isin(runs)].iterrows()),
        _shares(tables),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(runs), 2, 2.8, below=len(notes))
    for (times, last), run_id in zip(axes, runs, strict=True):
        of_run = shown[shown["run_id"] == run_id]
        colours = dict(zip(dict.fromkeys(of_run["place"]), PLACES, strict=False))
        for number, (place, colour) in enumerate(colours.items()):
            rows = of_run[of_run["place"] == place].sort_values("server_round")
            beside = rows["server_round"] + 0.12 * (number - (len(colours) - 1) / 2)
            spread = [rows["client_s"] - rows["client_s_low"], rows["client_s_high"] - rows["client_s"]]
            times.errorbar(beside, rows["client_s"], spread, fmt="o", color=colour, capsize=3, label=place)
            led = rows[rows["slowest_s"].notna()]
            last.bar(led["server_round"], led["slowest_s"], color=colour, width=0.6)
        times.set_title(", ".join(filter(None, [of_run["cell"].iloc[0], "Clients by platform"])))
        last.set_title("Slowest client of each round")
        times.legend(loc="best", fontsize=8)
        for panel in (times, last):
            panel.set_ylim(bottom=0)
            panel.set_ylabel("seconds")
            panel.set_xlabel("round")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    annotate(figure, "Platforms of a fabric", what_was_learnt(tables), notes)
    return figure


def _line(row: pd.Series[float]) -> str:
    warm = "" if pd.isna(row["warm_client_s"]) else f", warm median {seconds(row['warm_client_s'])}"
    return (
        f"{row['place']}: clients {row['clients']}, attempts {row['attempts']}, {row['failures']} failed, "
        f"{row['cold_starts']} cold{warm}, {row['gb_s']:.0f} GB-s."
    )


def _shares(tables: Tables) -> str:
    """Say how speeds were made to differ, where they were."""
    calls = placed(tables["invocations"])
    if "cpu_share" not in calls or calls["cpu_share"].isna().all():
        return ""
    limited = calls[calls["cpu_share"].notna()].drop_duplicates(["place", "cpu_share", "cpu_share_by"])
    how = {"cgroup": "a quota of the kernel", "simulated": "answers held back"}
    shares = (
        f"{row.place} {row.cpu_share:g} ({how.get(str(row.cpu_share_by), row.cpu_share_by)})"
        for row in limited.itertuples()
    )
    return f"Speeds are emulated, as shares of a core: {', '.join(shares)}."


CHART = Chart("platforms", "no run was on more than one platform.", data, draw)
