"""Horizontal dots with intervals: one row per setting, systems of a setting close together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

_ROOM = 1.65  # of the largest value: for the text behind it, ...
_LETTERS = 20  # ... of so many letters, or more room


@dataclass(frozen=True)
class Dot:
    """One system's value.

    Parameters
    ----------
    row
        The setting's label; dots of one label stand close together.
    text
        Written beside it.
    low, high
        Its interval, where there is one.
    hollow
        Whether it only bounds the value from below, or is of others.
    """

    row: str
    colour: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    marker: str = "o"


def draw_dots(
    axes: Axes, dots: Sequence[Dot], rows: Sequence[str], *, step: float, labelled: bool, start: float = 0.0
) -> None:
    """Draw dots from top to bottom in the order given.

    Parameters
    ----------
    step
        Distance of dots that share a row.
    labelled
        Whether the rows are named at the left.
    start
        Where the axis begins.
    """
    by_row = {row: [dot for dot in dots if dot.row == row] for row in rows}
    for place, in_row in enumerate(by_row.values()):
        for number, dot in enumerate(in_row):
            _draw_dot(axes, dot, place + step * (number - (len(in_row) - 1) / 2))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(axis="y", labelleft=labelled, length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    largest = max((dot.high or dot.value for dot in dots if math.isfinite(dot.high or dot.value)), default=0.0)
    longest = max((len(dot.text) for dot in dots), default=0)
    room = (
        1 + (_ROOM - 1) * max(1.0, longest / _LETTERS) ** 2
    )  # more room for text leaves less for what it stands behind
    axes.set_xlim(start, start + (room * (largest - start) or 1.0))


def _draw_dot(axes: Axes, dot: Dot, y: float) -> None:
    if math.isnan(dot.value):
        return
    if dot.low is not None and dot.high is not None:
        axes.plot([dot.low, min(dot.high, 1e300)], [y, y], color=dot.colour, linewidth=1.5, solid_capstyle="butt")
    face = "white" if dot.hollow else to_rgba(dot.colour)
    axes.plot([dot.value], [y], dot.marker, markersize=5, markerfacecolor=face, markeredgecolor=dot.colour)
    beside = (max(dot.value, dot.high or 0.0), y)
    size = 7 * min(1.0, (_LETTERS / max(1, len(dot.text))) ** 0.4)  # a long interval is to end before the next panel
    no_math: dict[str, Any] = {"parse_math": False}  # $ is money
    axes.annotate(dot.text, beside, (5, 0), textcoords="offset points", va="center", fontsize=size, **no_math)
