"""The few figures that matter most, a row per system, in one unit per column: a table that can be sorted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metrics.analysis.kpis import KPIS
from metrics.analysis.statistics import Median
from metrics.collect.units import NOT_MEASURED

_KPI = {kpi.column: kpi for kpi in KPIS}
_COLUMNS = (
    "best_test_accuracy",
    "rounds_to_target",
    "first_round_s",
    "warm_round_s",
    "overhead",
    "cpu_s",
    "peak_total_rss_bytes",
    "usd_per_round",
)
_THREE_FIGURES = 2  # digits after the first one


@dataclass(frozen=True)
class Scale:
    """How the values of a column are written: divided, and with so many decimals; the unit is in the header."""

    unit: str
    divisor: float = 1.0
    decimals: int = 0

    def write(self, value: float) -> str:
        """Write a value without its unit."""
        return "∞" if math.isinf(value) else f"{value / self.divisor:,.{self.decimals}f}"


_SCALES = {
    "accuracy": Scale("", decimals=4),
    "rounds": Scale(""),
    "cpu_s": Scale("s", decimals=1),
    "bytes": Scale("GiB", 2**30, 2),
    "ratio": Scale("×", decimals=2),
}


@dataclass(frozen=True)
class Cell:
    """A median as it is shown: in figures, with its interval in brackets if there is one, and as what it sorts by."""

    text: str
    interval: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Column:
    """A column's title, its unit and whether it holds words."""

    title: str
    unit: str = ""
    is_label: bool = False


@dataclass(frozen=True)
class Headline:
    """Columns, and rows of cells; a column whose unit is "" needs none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def headline(summary: pd.DataFrame) -> Headline:
    """Return the table of rows of :func:`metrics.analysis.kpis.per_system`; what nobody measured has no column."""
    shown = [name for name in _COLUMNS if any(found.n for found in summary[name])]
    scales = {name: _scale(_KPI[name].unit, list(summary[name])) for name in shown}
    cells = [(Column("cell", is_label=True), [Cell(str(cell)) for cell in summary["cell"]])]
    several = cells if summary["cell"].nunique() > 1 else []
    columns = [
        *several,
        (Column("system", is_label=True), [Cell(str(system)) for system in summary["system"]]),
        (Column("runs", "n"), [Cell(str(n), value=float(n)) for n in summary["n"]]),
        *(
            (Column(_KPI[name].title, scale.unit), [_cell(found, scale) for found in summary[name]])
            for name, scale in scales.items()
        ),
    ]
    return Headline(
        tuple(column for column, _ in columns),
        tuple(zip(*(cells for _, cells in columns), strict=True)),
    )


def _scale(unit: str, medians: Sequence[Median]) -> Scale:
    values = [abs(found.value) for found in medians if found.n and math.isfinite(found.value) and found.value]
    if unit == "s":
        least = min(values, default=1.0)
        return Scale("ms", 0.001) if max(values, default=1.0) < 0.1 else Scale("s", decimals=2 if least < 10 else 1)
    if unit == "usd":
        least = min(values, default=1.0)
        return Scale("USD", decimals=max(2, _THREE_FIGURES - math.floor(math.log10(least))))
    return _SCALES[unit]


def _cell(found: Median, scale: Scale) -> Cell:
    if not found.n:
        return Cell(NOT_MEASURED)
    text = ("> " if found.is_lower_bound else "") + scale.write(found.value)
    if found.low is None or found.high is None or found.low == found.high:
        return Cell(text, value=found.value)
    return Cell(text, f"[{scale.write(found.low)}–{scale.write(found.high)}]", found.value)
