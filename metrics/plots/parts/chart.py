"""What a figure is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from metrics.collect.tables import Tables


class NoDataError(ValueError):
    """The tables hold nothing that a figure could show."""


@dataclass(frozen=True)
class Chart:
    """A figure in two steps, so that what is drawn can be read as a table too.

    Parameters
    ----------
    name
        Name of the files and of ``figure=NAME``.
    needs
        What is missing when there is nothing to draw, as a sentence.
    data
        The tables -> what is shown, tidy; empty if there is nothing.
    draw
        That, and the tables for the notes around it -> the figure.
    """

    name: str
    needs: str
    data: Callable[[Tables], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Tables], Figure]
