"""A quantity of a round, round by round: the median over the seeds that reached it, and lines of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from metrics.analysis.statistics import median
from metrics.plots.parts.style import backend_colour, lay_over

_MARKED = 20  # rounds, up to which each is marked by a dot
BOUNDS = ("interval_low", "interval_high")


def median_by_round(rounds: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the median of a column over the runs that share ``by`` and ``server_round``.

    Columns: ``by``, ``server_round``, ``n``, the column itself, ``interval_low``, ``interval_high`` (null below n = 6),
    ``lowest`` and ``highest``.
    """
    keys = [*by, "server_round"]
    rows: list[dict[str, Any]] = []
    for values, of_round in rounds.groupby(keys, sort=False, dropna=False):
        found = median(of_round[column])
        rows.append(
            {
                **dict(zip(keys, values, strict=True)),
                "n": found.n,
                column: found.value,
                **dict(zip(BOUNDS, (found.low, found.high), strict=True)),
                "lowest": of_round[column].min(),
                "highest": of_round[column].max(),
            }
        )
    medians = pd.DataFrame(rows, columns=[*keys, "n", column, *BOUNDS, "lowest", "highest"])
    return medians.astype(dict.fromkeys(BOUNDS, "float64"))  # null, not None, where there is none


def draw_lines(axes: Axes, shown: pd.DataFrame, column: str) -> None:
    """Draw a line per ``system``, with a band where there are several runs.

    Rounds that only some of a system's runs reached are left out: their median would be another's. Accuracies of equal
    learning lie on top of each other, so their lines get rims; no other quantity does.
    """
    systems = list(shown["system"].unique())
    for place, system in enumerate(systems):
        rows = shown[shown["system"] == system].sort_values("server_round")
        rows = rows[rows["n"] == rows["n"].max()]
        n, colour = rows["n"].max(), backend_colour(rows["backend"].iloc[0])
        marker = "o" if len(rows) <= _MARKED else None
        look = lay_over(place, len(systems)) if column == "test_accuracy" else lay_over(0, 1)
        axes.plot(rows["server_round"], rows[column], color=colour, marker=marker, label=f"{system}, n = {n}", **look)
        if n > 1:
            low = rows["interval_low"].fillna(rows["lowest"])
            high = rows["interval_high"].fillna(rows["highest"])
            axes.fill_between(rows["server_round"], low, high, color=colour, alpha=0.12, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("round")


def draw_target(axes: Axes, target: float | None) -> None:
    """Draw the accuracy that a run was to reach, if there is one."""
    if target is None or math.isnan(target):
        return
    axes.axhline(target, color="#888888", linestyle=(0, (4, 3)), linewidth=1)
    axes.annotate(f"target {target:g}", (0.01, target), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)


def bands(shown: pd.DataFrame) -> str:
    """Say what lines and bands mean."""
    n = int(shown["n"].max())
    of_line = [name for name in ("cell", "system") if name in shown]
    fewer = shown["n"] < shown.groupby(of_line)["n"].transform("max")
    ends = " A line ends where the first of its seeds did." if fewer.any() else ""
    if n == 1:
        return "One run (seed) per system, n = 1."
    band = (
        "exact 95 % interval of the median"
        if shown["interval_low"].notna().any()
        else "range (no interval below n = 6)"
    )
    return f"Lines: median over n seeds; bands: {band}.{ends}"
