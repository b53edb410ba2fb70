"""Figures, drawn from the tables alone; nothing that learns is imported.

A figure is a :class:`~metrics.plots.parts.chart.Chart` in a module of its own, entered here under its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metrics.plots.backend import mpl  # before every other import of Matplotlib

# isort: split
from machine.files import write_whole
from metrics.collect.tables import Tables
from metrics.plots import (
    accuracy,
    breakeven,
    cold_starts,
    cost,
    cpu_memory,
    faults,
    kpis,
    participation,
    platforms,
    poisoning,
    strategies,
    time_per_round,
    topology,
)
from metrics.plots.papers import fig3, fig4, fig5, rgg
from metrics.plots.parts.chart import Chart, NoDataError
from metrics.plots.parts.style import STYLE
from metrics.plots.pictures import FORMATS, PNG, SVG, write_pictures

__all__ = ["FIGURES", "FORMATS", "PNG", "SVG", "Chart", "NoDataError", "save"]

FIGURES: dict[str, Chart] = {
    chart.name: chart
    for chart in (
        accuracy.CHART,
        time_per_round.CHART,
        cpu_memory.CHART,
        cold_starts.CHART,
        cost.CHART,
        breakeven.CHART,
        kpis.CHART,
        fig3.CHART,
        fig4.CHART,
        fig5.CHART,
        rgg.CHART,
        faults.CHART,
        platforms.CHART,
        participation.CHART,
        topology.CHART,
        poisoning.CHART,
        strategies.CHART,
    )
}


def save(chart: Chart, tables: Tables, folder: Path, formats: Sequence[str] = (PNG,)) -> list[Path]:
    """Draw a figure in each of the formats, and write what it shows as CSV beside it; return the files, the CSV last.

    Parameters
    ----------
    formats
        Of the pictures, some of :data:`FORMATS`.

    Raises
    ------
    NoDataError
        If the tables hold nothing for this figure.
    """
    data = chart.data(tables)
    if data.empty:
        raise NoDataError(f"{chart.name}: {chart.needs}")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [folder / f"{chart.name}.{name}" for name in formats]
    csv = folder / f"{chart.name}.csv"
    write_whole(csv, data.to_csv(index=False).encode(), durable=False)
    with mpl.rc_context(STYLE):
        write_pictures(chart.draw(data, tables), pictures)
    return [*pictures, csv]
