"""Weights on the wire: lossless, and refused when broken."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save

from task.engines.optimizers import OPTIMIZERS, fresh_state, state_like
from task.models import parameter_shapes
from task.weights import CorruptWeights, Stamp, digest, dumps, largest_bytes, loads, read, sha256

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


LIKE = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32)}
STAMP = Stamp(server_round=3, client_id=7, attempt=2, num_examples=600)


def with_header(header, body=b"", length=None):
    """Safetensors with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def test_an_update_is_read_with_its_stamp_and_costs_the_reader_no_more_than_it_allowed():
    data = dumps(LIKE, STAMP)
    assert sha256(read(data, LIKE, stamp=STAMP, sha256=digest(data))) == sha256(LIKE)
    assert len(data) <= largest_bytes(LIKE)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "0 bytes are not whole"),
        (with_header({}, length=2**63), "are not whole"),
        (with_header(b"[" * 4000), "no JSON object"),
        (with_header(b"\xff\xfe"), "no JSON object"),
        (with_header([1]), "no JSON object"),
        (with_header({"a": 1, "b": {}}), "a is no array"),
        (with_header({"__metadata__": [], "a": 1}), "metadata are a list"),
        (dumps(LIKE | {"c": LIKE["b"]}), "missing arrays: c"),
        (dumps({"a": LIKE["a"]}), "missing arrays: b"),
        (dumps({"x" * 3000: LIKE["a"]}), "missing arrays: a, b, xxx"),
        (dumps(LIKE | {"b": np.zeros(5, np.float32)}), r"b is float32\[5\], expected float32\[4\]"),
        (dumps(LIKE | {"b": np.zeros(2, np.float64)}), "float64"),
        (save(LIKE | {"b": np.zeros(4, np.int32)}), "I32"),
        (save(LIKE), "note no checksum"),
        (dumps({"x" * 10**7: LIKE["a"]}), "bytes are too many"),
        (dumps(LIKE | {"b": np.zeros(10**6, np.float32)}), "bytes are too many"),
        (with_header({"x" * 4930: 1}), r"a header of 493\d bytes is too long: 4915 are allowed"),
        (dumps(LIKE | {"b": np.float32([0, 1, np.inf, 0])}), "b holds a value that is not finite"),
    ],
)
def test_whatever_is_sent_is_refused_in_a_short_text(data, told):
    with pytest.raises(CorruptWeights, match=told) as refused:
        read(data, LIKE)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("changed", ["server_round", "client_id", "attempt", "num_examples"])
def test_an_update_of_another_round_attempt_or_client_is_refused(changed):
    data = dumps(LIKE, replace(STAMP, **{changed: 1}))
    with pytest.raises(CorruptWeights, match=f"another update: {changed}=1, but it should be of round 3, client 7"):
        read(data, LIKE, stamp=STAMP)
    with pytest.raises(CorruptWeights, match="another update"):
        read(dumps(LIKE), LIKE, stamp=STAMP)


def test_bytes_that_were_written_again_are_refused_though_their_stamp_is_right():
    counted, rewritten = dumps(LIKE, STAMP), dumps(LIKE | {"b": np.ones(4, np.float32)}, STAMP)
    read(rewritten, LIKE, stamp=STAMP)
    with pytest.raises(CorruptWeights, match="not the bytes that counted"):
        read(rewritten, LIKE, stamp=STAMP, sha256=digest(counted))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam"])
def test_the_state_of_an_optimizer_is_read_like_weights(optimizer):
    state = fresh_state(OPTIMIZERS[optimizer](0.1), parameter_shapes("mlp50"))
    like = state_like("mlp50", optimizer)
    assert sha256(read(dumps(state), like)) == sha256(state)
    with pytest.raises(CorruptWeights, match="missing arrays"):
        read(dumps(state | {"more": np.zeros(1, np.float32)}), like)
