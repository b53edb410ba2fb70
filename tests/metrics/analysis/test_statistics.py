"""Intervals, pairs and tests against what is known of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.analysis.statistics import Median, interval_ranks, median, pairs, permutation_p

numbers = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("n", "lower", "upper", "coverage"), [(6, 1, 6, 0.969), (10, 2, 9, 0.979), (50, 18, 33, 0.967)]
)
def test_interval_ranks_are_the_published_ones(n: int, lower: int, upper: int, coverage: float) -> None:
    assert interval_ranks(n) == (lower, upper, pytest.approx(coverage, abs=5e-4))


@pytest.mark.parametrize("n", range(6))
def test_no_interval_exists_below_six(n: int) -> None:
    assert interval_ranks(n) is None
    found = median(range(n))
    assert (found.n, found.low, found.high, found.coverage) == (n, None, None, None)


@given(st.integers(6, 400))
def test_ranks_are_the_narrowest_that_cover(n: int) -> None:
    from scipy.stats import binom

    ranks = interval_ranks(n)
    assert ranks is not None
    lower, upper, coverage = ranks
    assert lower + upper == n + 1
    assert coverage == pytest.approx(1 - 2 * binom.cdf(lower - 1, n, 0.5))
    assert coverage >= 0.95 > 1 - 2 * binom.cdf(lower, n, 0.5)


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).exponential(size=(4000, 10))
    found = [median(draw) for draw in draws]
    covered = np.mean([f.low <= math.log(2) <= f.high for f in found if f.low is not None and f.high is not None])
    assert covered == pytest.approx(found[0].coverage, abs=0.01)


@given(numbers)
def test_the_median_lies_in_its_interval_and_among_its_values(values: list[float]) -> None:
    found = median(values)
    assert found.value == np.median(values)
    assert found.n == len(values)
    if found.low is not None and found.high is not None:
        assert min(values) <= found.low <= found.value <= found.high <= max(values)


def test_not_measured_is_left_out_and_nothing_is_nan() -> None:
    assert median([1.0, math.nan, 3.0]) == Median(2.0, 2)
    assert math.isnan(median([]).value)


def test_a_censored_value_is_more_than_it_says_and_never_dropped() -> None:
    assert median([10, 20, 45], [False, False, True]) == Median(20.0, 3)
    assert median([10, 45, 45], [False, True, True]) == Median(45.0, 3, is_lower_bound=True)
    assert median([10, 20, 45, 45], [False, False, True, True]).is_lower_bound
    six = median([10, 11, 12, 13, 14, 45], [False] * 5 + [True])
    assert (six.value, six.low, six.high, six.is_lower_bound) == (12.5, 10.0, math.inf, False)


@given(numbers, st.data())
def test_censoring_can_only_raise_the_upper_end(values: list[float], data: st.DataObject) -> None:
    censored = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    plain, held = median(values), median(values, censored)
    assert (held.value, held.low, held.n) == (plain.value, plain.low, plain.n)
    assert plain.high is None or (held.high is not None and held.high >= plain.high)
    assert not held.is_lower_bound or any(censored)


def test_pairs_are_of_one_seed_and_runs_alone_are_left_out() -> None:
    frame = pd.DataFrame(
        {
            "backend": ["flower", "flower", "flower", "inprocess", "inprocess", "inprocess"],
            "seed": [0, 1, 2, 1, 0, 3],
            "round_s": [2.0, 4.0, 8.0, 2.0, 1.0, 9.0],
        }
    )
    found = pairs(frame, "round_s", side="backend", left="flower", right="inprocess", by=["seed"])
    assert found.sort_values("seed").to_numpy().tolist() == [[0, 2.0, 1.0], [1, 4.0, 2.0]]
    doubled = pd.concat([frame, frame[:1]])
    with pytest.raises(ValueError, match="flower has two runs of the same seed"):
        pairs(doubled, "round_s", side="backend", left="flower", right="inprocess", by=["seed"])


def test_permutation_p_is_exact_and_silent_below_six() -> None:
    assert permutation_p([1.0] * 5) is None
    assert permutation_p([1.0, 1.1, 0.9, 1.2, 1.3, 0.8]) == pytest.approx(2 / 2**6)
    assert permutation_p([1.0, -1.0, 2.0, -2.0, 3.0, -3.0]) == pytest.approx(1.0)
    assert permutation_p(np.full(40, 0.1)) == pytest.approx(2e-4, abs=1e-4)
