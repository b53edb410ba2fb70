"""A fabric's platforms side by side: how long clients took, and whose client was the slowest of each round."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from metrics.analysis.comparisons.platforms import by_platform, placed, slowest, usd_by_place
from metrics.analysis.labels import label_runs
from metrics.collect.tables import Tables
from metrics.collect.units import seconds, write
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

PLACES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe and Ito
_KEYS = ["cell", "system", "server_round", "place"]


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system, round and place, of runs on more than one platform.

    ``n`` runs; ``client_s`` is the median of the clients' seconds, over all runs, of attempts that counted, with its
    quartiles; ``slowest_share`` is the part of the runs in which a client of the place was the slowest of the round.
    """
    runs = label_runs(tables["runs"])[["run_id", "cell", "system"]]
    calls = placed(tables["invocations"])
    spread = calls.groupby("run_id")["place"].transform("nunique")
    found = runs.merge(calls[(spread > 1) & (calls["status"] == "success")], on="run_id", sort=False)
    last = runs.merge(slowest(tables["invocations"]), on="run_id", sort=False)
    taken = found.groupby(_KEYS, sort=False)
    shown = taken.agg(
        n=("run_id", "nunique"),
        platform=("platform", "first"),
        clients=("client_id", "nunique"),
        client_s=("client_s", "median"),
    )
    shown["client_s_low"], shown["client_s_high"] = (taken["client_s"].quantile(part) for part in (0.25, 0.75))
    shown["slowest_share"] = last.groupby(_KEYS).size().reindex(shown.index, fill_value=0) / shown["n"]
    return shown.reset_index()


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw two panels per cell and system: seconds by round, and who was the slowest."""
    panels = list(shown.groupby(["cell", "system"], sort=False))
    notes = wrapped(
        "Seconds from submission to answer, of attempts that counted, by the keeper's clock: queueing, cold starts and "
        "the network are in them. Median and quartiles over the clients of a round. Dollars: of all "
        "functions of a place, the aggregator where it runs.",
        *(f"{system}, n = {rows['n'].max()}." for (_, system), rows in panels),
        *_lines(tables),
        _shares(tables),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(panels), 2, 2.8, below=len(notes))
    for (times, last), ((cell, _), rows) in zip(axes, panels, strict=True):
        _draw_panels(times, last, rows)
        times.set_title(under(cell, "Clients by platform"))
        last.set_title("Whose client was the slowest")
    annotate(figure, "Platforms of a fabric", what_was_learnt(tables), notes)
    return figure


def _draw_panels(times: Any, last: Any, rows: pd.DataFrame) -> None:
    places = sorted(set(rows["place"]))
    below = pd.Series(0.0, index=sorted(set(rows["server_round"])))
    platforms = rows.drop_duplicates("place").set_index("place")["platform"]
    colours = [backend_colour(platforms[place]) for place in places] if platforms.is_unique else PLACES
    for number, (place, colour) in enumerate(zip(places, colours, strict=False)):
        mine = rows[rows["place"] == place].set_index("server_round").sort_index()
        beside = mine.index + 0.12 * (number - (len(places) - 1) / 2)
        spread = [mine["client_s"] - mine["client_s_low"], mine["client_s_high"] - mine["client_s"]]
        times.errorbar(beside, mine["client_s"], spread, fmt="o", color=colour, capsize=3, label=place)
        share = mine["slowest_share"].reindex(below.index, fill_value=0.0)
        last.bar(below.index, share, bottom=below, color=colour, width=0.7)
        below = below + share
    times.legend(loc="best", fontsize=8)
    times.set_yscale("log")  # a first round's cold starts would leave nothing to see of the later ones
    times.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    times.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    times.yaxis.set_minor_formatter(NullFormatter())
    times.set_ylabel("seconds (log scale)")
    last.set_ylim(0, 1)
    last.set_ylabel("of the runs")
    last.yaxis.set_major_formatter(PercentFormatter(1.0))
    for panel in (times, last):
        panel.set_xlabel("round")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _lines(tables: Tables) -> list[str]:
    """Say, place by place, what its clients took in all runs together."""
    found = by_platform(tables["invocations"])
    found = found[found.groupby("run_id")["place"].transform("nunique") > 1]
    sums = found.groupby("place").agg(
        clients=("clients", "max"),
        attempts=("attempts", "sum"),
        failures=("failures", "sum"),
        cold=("cold_starts", "sum"),
        warm_s=("warm_client_s", "median"),
        gb_s=("gb_s", "sum"),
    )
    usd = usd_by_place(tables)
    return [_line(str(place), row, usd[usd["place"] == place]) for place, row in sums.iterrows()]


def _line(place: str, row: pd.Series[float], usd: pd.DataFrame) -> str:
    warm = "" if pd.isna(row["warm_s"]) else f", warm median {seconds(float(row['warm_s']))}"
    return (
        f"{place}: clients {row['clients']:.0f}, attempts {row['attempts']:.0f}, {row['failures']:.0f} failed, "
        f"{row['cold']:.0f} cold{warm}, {row['gb_s']:.0f} GB-s{_money(usd)}."
    )


def _money(usd: pd.DataFrame) -> str:
    """Say what a place's functions would cost a round, by its own prices; nothing if it has none of its own."""
    if usd.empty:
        return ""
    per_round = write(float(usd["usd_per_round"].median()), "usd")
    return f", {per_round} a round at prices of {', '.join(usd['pricing'].unique())}"


def _shares(tables: Tables) -> str:
    """Say how speeds were made to differ, where they were."""
    calls = placed(tables["invocations"])
    if calls["cpu_share"].isna().all():
        return ""
    limited = calls[calls["cpu_share"].notna()].drop_duplicates(["place", "cpu_share", "cpu_share_by"])
    how = {"cgroup": "a quota of the kernel", "simulated": "answers held back"}
    shares = (f"{row.place} {row.cpu_share:g} ({how.get(str(row.cpu_share_by))})" for row in limited.itertuples())
    return f"Speeds are set, as shares of a core: {', '.join(shares)}."


CHART = Chart("platforms", "no run was on more than one platform.", data, draw)
