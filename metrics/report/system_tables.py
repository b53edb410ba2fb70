"""The systems side by side, as text: the same rows for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pandas as pd

from metrics.analysis.kpis import KPIS, Section
from metrics.analysis.statistics import write_median
from metrics.collect.phases import GROUPS
from metrics.collect.units import NOT_MEASURED, write
from metrics.report.table import Table

_KPI = {kpi.column: kpi for kpi in KPIS}
_COMPACT = ("best_test_accuracy", "rounds_to_target", "warm_round_s", "overhead", "cpu_s", "peak_total_rss_bytes")


def side_by_side(summary: pd.DataFrame) -> Table:
    """Return a column per system of one cell, a row per figure; the median round is divided into its phases.

    Parameters
    ----------
    summary
        Rows of :func:`metrics.analysis.kpis.per_system`.
    """
    systems = [row for _, row in summary.iterrows()]
    runs = ("runs (n)", *(_count(row) for row in systems))
    split = [(f"  {group}", *(_part(row, group) for row in systems)) for group in GROUPS if _takes_time(group, systems)]
    learning, rounds, resources, run, cost = (_section(name, systems) for name in get_args(Section))
    header = ("", *(str(row["system"]) for row in systems))
    return Table(header, ((runs, *learning), (*rounds, *split), resources, run, cost))


def one_row_each(summary: pd.DataFrame) -> Table:
    """Return a row per cell and system: what fits where an experiment has many cells."""
    header = ("", "system", "n", *(_KPI[column].title for column in _COMPACT))
    sections = [
        tuple(
            (cell if place == 0 else "", row["system"], _count(row), *(_value(row, column) for column in _COMPACT))
            for place, (_, row) in enumerate(of_cell.iterrows())
        )
        for cell, of_cell in summary.groupby("cell", sort=False)
    ]
    return Table(header, tuple(sections), labels=2)


def _section(name: str, systems: Sequence[pd.Series[Any]]) -> tuple[tuple[str, ...], ...]:
    """Return a row for each KPI of a section; what was measured for no system is left out."""
    return tuple(
        (kpi.title, *(_value(row, kpi.column) for row in systems))
        for kpi in KPIS
        if kpi.section == name and any(row[kpi.column].n for row in systems)
    )


def _takes_time(group: str, systems: Sequence[pd.Series[Any]]) -> bool:
    return any(pd.isna(row[group]) or row[group] != 0 for row in systems)


def _value(row: pd.Series[Any], column: str) -> str:
    return write_median(row[column], _KPI[column].unit)


def _part(row: pd.Series[Any], group: str) -> str:
    """Write a phase's share of the later rounds, in seconds of their median and in per cent."""
    whole_s = row["warm_round_s"].value
    if pd.isna(whole_s) or pd.isna(row[group]):
        return NOT_MEASURED
    return f"{write(row[group] * whole_s, 's')} {row[group]:>4.0%}"


def _count(row: pd.Series[Any]) -> str:
    return f"{row['n']}" + (f", {row['unfinished']} unfinished" if row["unfinished"] else "")
