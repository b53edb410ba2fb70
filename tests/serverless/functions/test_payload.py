"""Images on the wire: lossless, and refused when broken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless.functions.payload import CorruptData, pack_images, unpack_images


def some_images(number):
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (number, 28, 28), np.uint8), rng.integers(0, 10, number, np.uint8)


@given(st.integers(0, 20))
def test_images_and_labels_come_back(number):
    images, labels = some_images(number)
    back, back_labels = unpack_images(pack_images(images, labels))
    np.testing.assert_array_equal(back, images)
    np.testing.assert_array_equal(back_labels, labels)


@given(st.data())
def test_truncated_bytes_are_refused(data):
    whole = pack_images(*some_images(3))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CorruptData, match=f"{cut} bytes"):
        unpack_images(whole[:cut])


def test_objects_and_wrong_shapes_are_refused():
    images, labels = some_images(4)
    with pytest.raises(CorruptData):
        unpack_images(pack_images(images, labels[:3]))
    with pytest.raises(CorruptData):
        unpack_images(pack_images(images.astype(np.float32), labels))
    with pytest.raises(CorruptData):
        unpack_images(pack_images(images, np.array([{"pickled": 1}] * 4, dtype=object)))
