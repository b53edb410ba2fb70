"""Averaging: McMahan's formula, whatever the number of updates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from task.aggregation import StreamingAverage
from task.weights import CorruptWeights

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
    assert (average.updates, average.num_examples) == (len(pairs), int(weights.sum()))


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
    average = StreamingAverage()
    average.add({"w": np.float32([1, 2])}, 10)
    with pytest.raises(CorruptWeights, match=named):
        average.add(broken, 10)
    np.testing.assert_array_equal(average.result()["w"], np.float32([1, 2]))
    assert average.num_examples == 10


def test_nothing_to_average_and_nobodys_update_are_errors():
    with pytest.raises(ValueError, match="no update to average"):
        StreamingAverage().result()
    with pytest.raises(ValueError, match="num_examples=0"):
        StreamingAverage().add({"w": np.float32([1])}, 0)


def test_the_sum_is_taken_in_float64():
    average = StreamingAverage()
    for value in (1e8, 1.0, -1e8):
        average.add({"w": np.float32([value])}, 1)
    assert average.result()["w"][0] == np.float32(1 / 3)
