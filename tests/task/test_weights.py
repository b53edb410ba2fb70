"""Weights on the wire: lossless, and refused when broken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save

from task.weights import CorruptWeights, dumps, loads, sha256

some_weights = st.dictionaries(
    st.text("abc/", min_size=1, max_size=6),
    arrays(np.float32, array_shapes(min_dims=0, max_dims=3, max_side=4)),
    min_size=1,
)


@given(some_weights)
def test_roundtrip_is_lossless_to_the_bit(weights):
    back = loads(dumps(weights))
    assert back.keys() == weights.keys()
    for name, array in weights.items():
        assert back[name].dtype == np.float32
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()
    assert sha256(back) == sha256(weights)


@given(some_weights, st.data())
def test_truncated_bytes_are_refused(weights, data):
    whole = dumps(weights)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CorruptWeights, match=f"{cut} bytes"):
        loads(whole[:cut])


@given(some_weights, st.data())
def test_whatever_bit_is_flipped_other_weights_are_never_read(weights, data):
    whole = bytearray(dumps(weights))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = loads(bytes(whole))
    except CorruptWeights:
        return
    assert sha256(read) == sha256(weights)


def test_weights_that_do_not_say_what_they_should_be_are_refused():
    with pytest.raises(CorruptWeights, match="note no checksum"):
        loads(save({"a": np.float32([1.0])}))


def test_the_hash_sees_names_shapes_and_values_but_not_order():
    a, b = np.float32([[1, 2]]), np.float32([3])
    assert sha256({"a": a, "b": b}) == sha256({"b": b, "a": a})
    others = [{"a": a, "c": b}, {"a": a.reshape(2, 1), "b": b}, {"a": -a, "b": b}]
    assert len({sha256({"a": a, "b": b}), *map(sha256, others)}) == 4
