"""How values are written for people, by unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

NOT_MEASURED = "–"
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def seconds(value: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> [seconds(value) for value in (0, 0.0123, 1.234, 45.67, 171.2, 3725)]
    ['0 s', '12 ms', '1.23 s', '45.7 s', '2:51 min', '1:02 h']
    """
    if value == 0:
        return "0 s"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 119.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def memory(value: float) -> str:
    """Write an amount of memory.

    Examples
    --------
    >>> [memory(value) for value in (512, 300 * 2**20, 2.5 * 2**30)]
    ['512 B', '300 MiB', '2.50 GiB']
    """
    power = min(int(math.log(value, 1024)) if value >= 1 else 0, len(_BINARY) - 1)
    amount = value / 1024**power
    return f"{amount:.0f} {_BINARY[power]}" if power < 3 else f"{amount:.2f} {_BINARY[power]}"


def dollars(value: float) -> str:
    """Write an amount of US dollars, to three figures or to cents.

    Examples
    --------
    >>> [dollars(value) for value in (0, 0.00123456, 1.5, -1234.567)]
    ['$0', '$0.00123', '$1.50', '-$1,234.57']
    """
    sign, amount = "-" if value < 0 else "", abs(value)
    return f"{sign}${amount:,.2f}" if amount >= 0.9995 else f"{sign}${_three_figures(amount)}"


def _three_figures(value: float) -> str:
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


_WRITERS: Mapping[str, Callable[[float], str]] = {
    "accuracy": lambda value: f"{value:.4f}",
    "rounds": lambda value: f"{value:g}",
    "s": seconds,
    "cpu_s": lambda value: f"{value:,.1f} s" if value >= 9.95 else f"{value:.2f} s",
    "bytes": memory,
    "ratio": lambda value: f"{value:.2f}×",
    "share": lambda value: f"{value:.1%}",
    "usd": dollars,
    "per_usd": lambda value: f"{value:,.0f} /$" if value >= 999.5 else f"{_three_figures(value)} /$",
    "rate": lambda value: f"{value:,.0f}" if value >= 99.5 else _three_figures(value),
    "count": lambda value: f"{value:,g}",
}


def write(value: float | None, unit: str) -> str:
    """Write a value with its unit; a dash for one that was not measured.

    Raises
    ------
    KeyError
        If there is no such unit.
    """
    writer = _WRITERS[unit]
    if value is None or math.isnan(value):
        return NOT_MEASURED
    return "∞" if math.isinf(value) else writer(value)
