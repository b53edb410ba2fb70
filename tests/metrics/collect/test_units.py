"""Values as people read them."""

from __future__ import annotations

import math

import pytest

from metrics.analysis.statistics import Median, write_median
from metrics.collect.units import write


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.97, "accuracy", "0.9700"),
        (9.994, "s", "9.99 s"),
        (9.996, "s", "10.0 s"),
        (119.96, "s", "2:00 min"),
        (3599.7, "s", "1:00 h"),
        (1023.0 * 2**20, "bytes", "1023 MiB"),
        (0, "bytes", "0 B"),
        (12345.6, "cpu_s", "12,345.6 s"),
        (0.094, "cpu_s", "0.09 s"),
        (0.0456, "share", "4.6%"),
        (None, "s", "–"),
        (math.nan, "count", "–"),
        (math.inf, "rounds", "∞"),
    ],
)
def test_values_are_written_with_their_unit(value: float | None, unit: str, text: str) -> None:
    assert write(value, unit) == text


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(KeyError):
        write(1.0, "furlongs")


@pytest.mark.parametrize(
    ("low", "high", "unit", "text"),
    [
        (6.35, 6.4, "s", "6.38 s [6.35–6.40 s]"),
        (0.05, 6.4, "s", "6.38 s [50 ms–6.40 s]"),
        (171.2, 182.0, "s", "6.38 s [2:51–3:02 min]"),
        (5.0, math.inf, "rounds", "6.375 [5–∞]"),
        (6.375, 6.375, "s", "6.38 s"),
    ],
)
def test_an_interval_names_its_unit_once_where_it_is_the_same(low: float, high: float, unit: str, text: str) -> None:
    assert write_median(Median(6.375, 6, low, high, 0.97), unit) == text
