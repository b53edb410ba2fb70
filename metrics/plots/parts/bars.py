"""Horizontal bars of parts that add up, one per system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metrics.plots.parts.style import OTHER, backend_colour, write_legend

_TOTALS = 1.5  # of the longest bar: room for the totals behind it


@dataclass(frozen=True)
class Bar:
    """One system's bar.

    Parameters
    ----------
    label
        Written before the bar, in the backend's colour.
    parts
        Name -> length, drawn in this order.
    total
        Written behind the bar.
    """

    label: str
    backend: str
    parts: Mapping[str, float]
    total: str


def bars_height(shown: pd.DataFrame) -> float:
    """Return the height, in inches, of a panel with a bar for each ``system`` of a ``cell``."""
    return float(0.85 + 0.45 * shown.groupby("cell")["system"].nunique().max())


def draw_bars(axes: Axes, bars: Sequence[Bar], colours: Mapping[str, str], *, x_label: str, labelled: bool) -> None:
    """Draw bars from top to bottom; ``labelled`` writes their labels."""
    for place, bar in enumerate(bars):
        left = 0.0
        for name, length in bar.parts.items():
            width = max(0.0, length)  # two clocks may leave an unattributed part of less than nothing
            axes.barh(place, width, left=left, color=colours.get(name, OTHER), height=0.62, linewidth=0)
            left += width
        axes.annotate(f" {bar.total}", (left, place), va="center", fontsize=8.5)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    for tick, bar in zip(axes.get_yticklabels(), bars, strict=True):
        tick.set_color(backend_colour(bar.backend))
    axes.tick_params(axis="y", labelleft=labelled, length=0)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    longest = max((sum(bar.parts.values()) for bar in bars), default=0.0)
    axes.set_xlim(0, _TOTALS * longest or 1.0)
    axes.set_xlabel(x_label)


def legend_below(figure: Figure, colours: Mapping[str, str], *, notes: int) -> None:
    """Write what the colours mean on a line between what is drawn and ``notes`` lines of notes."""
    handles = [Patch(color=colour, label=name.replace("_", " ")) for name, colour in colours.items()]
    write_legend(figure, handles, notes=notes)
