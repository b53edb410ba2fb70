import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from task.images.idx import DataError, decode, encode

arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))


@given(arrays)
def test_what_is_encoded_is_decoded(array):
    back = decode(encode(array), "file")
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, array, strict=True)


@given(arrays, st.data())
def test_a_file_cut_at_any_byte_is_refused_by_name(array, data):
    whole = encode(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataError, match="the-file"):
        decode(whole[:cut], "the-file")


@given(arrays, st.binary(min_size=1, max_size=9))
def test_bytes_after_the_end_are_refused(array, more):
    with pytest.raises(DataError, match="followed by something else"):
        decode(encode(array) + more, "file")


@given(arrays, st.integers(0, 2), st.integers(1, 255))
def test_another_type_of_file_is_refused(array, position, difference):
    data = bytearray(encode(array))
    data[position] ^= difference
    with pytest.raises(DataError, match="no IDX file of unsigned bytes"):
        decode(bytes(data), "file")


@pytest.mark.parametrize("sides", [[1] * 70, [0] + [2**32 - 1] * 4], ids=["too many dimensions", "too large ones"])
def test_a_shape_that_no_array_can_have_is_refused(sides):
    header = bytes([0, 0, 8, len(sides)]) + b"".join(side.to_bytes(4, "big") for side in sides)
    with pytest.raises(DataError, match=r"the-file: the shape .* is no array's"):
        decode(header + bytes(math.prod(sides)), "the-file")


def test_the_header_is_the_one_of_the_original_files():
    assert encode(np.zeros((60_000,), np.uint8))[:8].hex() == "000008010000ea60"
    assert encode(np.zeros((3, 28, 28), np.uint8))[:16].hex() == "00000803000000030000001c0000001c"
