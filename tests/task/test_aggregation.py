"""Averaging: McMahan's formula, whatever the number of updates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from task.aggregation import Aggregation
from task.job import FederatedJob, StrategySpec
from task.strategies.fedavg import StreamingAverage
from task.weights import CorruptWeights, distance

JOB, START = FederatedJob(), {"w": np.float32([0, 0])}
finite = st.floats(-1e3, 1e3, width=32)
updates = st.lists(st.tuples(arrays(np.float32, (3, 2), elements=finite), st.integers(1, 6000)), min_size=1, max_size=8)


@given(updates)
def test_average_is_the_weighted_mean_in_float64_rounded_once(pairs):
    average = StreamingAverage()
    for array, num_examples in pairs:
        average.add({"w": array}, num_examples)
    stack = np.stack([array.astype(np.float64) for array, _ in pairs])
    weights = np.array([num_examples for _, num_examples in pairs], dtype=np.float64)
    expected = np.tensordot(weights, stack, axes=1) / weights.sum()
    result = average.result()["w"]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-30)


@given(arrays(np.float32, 4, elements=finite), st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_average_of_equal_weights_is_themselves_to_the_last_bit_or_so(array, counts):
    average = StreamingAverage()
    for count in counts:
        average.add({"w": array}, count)
    np.testing.assert_allclose(average.result()["w"], array, rtol=1e-7)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"w": np.float32([1, np.nan])}, "w holds a value that is not finite"),
        ({"w": np.float32([1, np.inf])}, "not finite"),
        ({"w": np.float32([1])}, r"w is float32\[1\], expected float32\[2\]"),
        ({"w": np.float64([1, 2])}, "float64"),
        ({"v": np.float32([1, 2])}, "v, w"),
    ],
)
def test_a_broken_update_is_refused_and_leaves_the_average_as_it_was(broken, named):
    average = Aggregation(JOB, START)
    average.add({"w": np.float32([1, 2])}, 10)
    with pytest.raises(CorruptWeights, match=named):
        average.add(broken, 10)
    np.testing.assert_array_equal(average.result()["w"], np.float32([1, 2]))
    assert (average.num_examples, average.updates) == (10, 1)


def test_nothing_to_average_and_nobodys_update_are_errors():
    with pytest.raises(ValueError, match="no update to average"):
        Aggregation(JOB, START).result()
    with pytest.raises(ValueError, match="num_examples=0"):
        Aggregation(JOB, START).add({"w": np.float32([1, 2])}, 0)


@pytest.mark.parametrize("strategy", [StrategySpec(), StrategySpec("krum", f=1, m=1)])
@pytest.mark.parametrize("bound", [None, 2.5])
def test_an_update_that_is_too_far_away_is_named_and_without_a_bound_is_not(bound, strategy):
    aggregation = Aggregation(replace(JOB, max_update_norm=bound, strategy=strategy), START)
    aggregation.add({"w": np.float32([1.5, 2])}, 1)  # 2.5 away: the bound itself is allowed
    if bound is None:
        aggregation.add({"w": np.float32([3e38, -3e38])}, 1)
    else:
        with pytest.raises(CorruptWeights, match=r"its norm is 4.243e\+38, more than max_update_norm=2.5"):
            aggregation.add({"w": np.float32([3e38, -3e38])}, 1)


def test_a_bound_without_the_weights_that_it_is_about_is_an_error():
    with pytest.raises(ValueError, match="max_update_norm"):
        Aggregation(JOB, None)
    unbounded = Aggregation(FederatedJob(model="mlp50", max_update_norm=None), None)
    with pytest.raises(CorruptWeights, match="missing arrays"):
        unbounded.add({"w": np.float32([1])}, 1)


def test_a_strategy_that_has_too_few_updates_says_so():
    aggregation = Aggregation(replace(JOB, strategy=StrategySpec("krum", f=1, m=1)), START)
    for _ in range(4):
        aggregation.add(START, 1)
    with pytest.raises(ValueError, match="strategy=krum needs 5 updates, but there are 4"):
        aggregation.result()


@given(arrays(np.float32, (70, 300), elements=st.floats(-1e4, 1e4, width=32)))
def test_the_distance_is_that_of_numpy_whatever_the_blocks(array):
    one, other = {"w": array, "b": array[0]}, {"w": array[::-1], "b": array[1]}
    expected = np.linalg.norm(
        np.concatenate([(one[name].astype(float) - other[name].astype(float)).ravel() for name in one])
    )
    assert distance(one, other) == pytest.approx(expected, rel=1e-12)


def test_the_sum_is_taken_in_float64():
    average = StreamingAverage()
    for value in (1e8, 1.0, -1e8):
        average.add({"w": np.float32([value])}, 1)
    assert average.result()["w"][0] == np.float32(1 / 3)
