"""What became of every attempt of a run, over time: one bar each, from when it was sent until it was answered."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metrics.analysis.labels import label_runs
from metrics.collect.tables import Tables
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import (
    LEGEND_LINES,
    OUTCOMES,
    annotate,
    new_figure,
    source_notes,
    what_was_learnt,
    wrapped,
    write_legend,
)

SUCCESS, GOT_OVER, REFUSED, LOST, FAILED, CORRUPT, DISCARDED = OUTCOMES
_BY_KIND = {
    "throttled": REFUSED,
    "unreachable": REFUSED,
    "store unreachable": REFUSED,
    "not sent": REFUSED,
    "no answer": LOST,
    "no record": LOST,
    "request timed out": LOST,
    "corrupt update": CORRUPT,
}
_MOST_RUNS = 3


def outcome(status: str, error_kind: str | None) -> str:
    """Sort what became of an attempt into one of a few outcomes.

    Examples
    --------
    >>> outcome("success", None), outcome("success", "no answer"), outcome("failed", "throttled")
    ('success', 'success, got over', 'refused by the platform')
    """
    if status == "success":
        return GOT_OVER if error_kind else SUCCESS
    if status == "discarded":
        return DISCARDED
    if error_kind and error_kind.startswith("HTTP"):
        return LOST
    return _BY_KIND.get(error_kind or "", FAILED)


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per answered attempt of the first few runs that had failures: when it began and ended, and how.

    Seconds are since the first round began. A run whose attempts all succeeded at once has nothing to show.
    """
    rows = tables["invocations"]
    kinds = [kind if isinstance(kind, str) else None for kind in rows["error_kind"]]
    rows = rows.assign(
        outcome=[outcome(status, kind) for status, kind in zip(rows["status"], kinds, strict=True)],
        began_at=rows.groupby("run_id")["submitted_at"].transform("min"),
    )
    troubled = rows.loc[rows["outcome"] != SUCCESS, "run_id"]
    runs = label_runs(tables["runs"])
    runs = runs[runs["run_id"].isin(troubled)].drop_duplicates("run_id").head(_MOST_RUNS)
    runs = runs[["run_id", "cell", "system", "backend", "seed"]]
    shown = runs.merge(rows[rows["client_s"].notna()], on="run_id", sort=False)
    start = shown["submitted_at"] - shown["began_at"]
    keys = ["run_id", "cell", "system", "seed", "server_round", "function", "client_id", "attempt", "outcome"]
    return shown[[*keys, "error_kind"]].assign(start_s=start, end_s=start + shown["client_s"], n=1)


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw a panel per run: clients above each other, the aggregator at the top, time to the right."""
    runs = list(shown["run_id"].unique())
    height = min(5.0, 1.0 + 0.16 * max(shown.groupby("run_id")["client_id"].nunique()))
    notes = wrapped(
        "A bar: one attempt, from when the controller sent it until it had the answer. Got over: the answer was lost "
        "or late, and was found; the function ran once. Lost: neither an answer nor work was found. Discarded: a "
        "straggler of a closed round, billed all the same. Dotted lines: rounds begin.",
        f"n = {len(runs)} {'run' if len(runs) == 1 else 'runs'}, the first in which an attempt failed, was late or "
        "was discarded.",
        *(_totals(shown[shown["run_id"] == run]) for run in runs),
        *source_notes(tables),
    )
    figure, axes = new_figure(len(runs), 1, height, below=len(notes) + LEGEND_LINES)
    for (panel,), run in zip(axes, runs, strict=True):
        _draw_run(panel, shown[shown["run_id"] == run], tables["rounds"])
    present = [name for name in OUTCOMES if name in set(shown["outcome"])]
    handles = [
        Patch(facecolor=OUTCOMES[name][0], hatch=OUTCOMES[name][1], edgecolor="white", label=name) for name in present
    ]
    write_legend(figure, handles, notes=len(notes))
    annotate(figure, "Every attempt, and what became of it", what_was_learnt(tables), notes)
    return figure


def _draw_run(panel: Axes, attempts: pd.DataFrame, rounds: pd.DataFrame) -> None:
    clients = sorted(attempts["client_id"].dropna().unique())
    places = {client: place for place, client in enumerate(clients)}
    heights = [places.get(client, len(clients) + 0.5) for client in attempts["client_id"]]
    for name, rows in attempts.assign(place=heights).groupby("outcome"):
        colour, hatch = OUTCOMES[str(name)]
        look: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.3}
        widths = (rows["end_s"] - rows["start_s"]).clip(lower=0.004 * attempts["end_s"].max())
        panel.barh(rows["place"], widths, 0.8, rows["start_s"], **look)
    for began in _round_starts(attempts, rounds):
        panel.axvline(began, color="#333333", linewidth=0.6, linestyle=":", zorder=0.5)
    every = max(1, len(clients) // 20)
    panel.set_yticks(
        [*range(0, len(clients), every), len(clients) + 0.5],
        [*(f"{client:g}" for client in clients[::every]), "aggregator"],
    )
    panel.set_ylim(-0.6, len(clients) + 1.1)
    panel.set_xlim(0, 1.01 * attempts["end_s"].max())
    panel.grid(visible=False, axis="y")
    panel.set_ylabel("client")
    panel.set_xlabel("seconds")
    panel.set_title(_of(attempts))


def _round_starts(attempts: pd.DataFrame, rounds: pd.DataFrame) -> list[float]:
    """Return when each round's first attempt was sent, in seconds on the panel's axis."""
    mine = rounds[rounds["run_id"] == attempts["run_id"].iloc[0]]
    starts = attempts[attempts["function"] == "client"].groupby("server_round")["start_s"].min()
    return [float(starts[number]) for number in mine["server_round"] if number in starts.index]


def _totals(attempts: pd.DataFrame) -> str:
    counts = attempts["outcome"].value_counts()
    outcomes = ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if name in counts)
    kinds = attempts.loc[attempts["outcome"] != SUCCESS, "error_kind"].dropna().value_counts()
    why = f" ({', '.join(f'{kind} {count}' for kind, count in kinds.items())})" if len(kinds) else ""
    return f"{_of(attempts)}, {len(attempts)} attempts: {outcomes}{why}."


def _of(attempts: pd.DataFrame) -> str:
    first = attempts.iloc[0]
    return ", ".join(filter(None, [first["cell"], first["system"], f"seed {first['seed']}"]))


CHART = Chart("faults", "no attempt went wrong: each succeeded at once.", data, draw)
