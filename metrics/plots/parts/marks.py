"""Marks that a legend explains, where systems of one backend share its colour."""

from __future__ import annotations

import pandas as pd
from matplotlib.lines import Line2D

from metrics.plots.parts.style import backend_colour


def backend_marks(shown: pd.DataFrame) -> list[Line2D]:
    """Return a mark per backend for the legend of many cells: systems of one backend have one colour there."""
    marks = []
    for backend, rows in shown.groupby("backend", sort=False):
        emulated = rows["system"].str.contains("emulated").all()
        label = f"{backend}{' (emulated)' if emulated else ''}, n = {range_of(rows['n'])}"
        colour = backend_colour(str(backend))
        marks.append(Line2D([], [], color="none", marker="o", mfc=colour, mec=colour, label=label))
    return marks


def range_of(numbers: pd.Series[int]) -> str:
    """Write the numbers of runs behind several marks.

    Examples
    --------
    >>> range_of(pd.Series([2, 2])), range_of(pd.Series([1, 3]))
    ('2', '1 to 3')
    """
    fewest, most = numbers.min(), numbers.max()
    return f"{fewest:g}" + (f" to {most:g}" if most > fewest else "")
