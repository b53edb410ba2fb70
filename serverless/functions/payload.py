"""Images and labels on their way through the object store: npz without pickle, uncompressed."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class CorruptData(ValueError):  # noqa: N818 - reads as the fact that it states
    """Bytes that are not the images they should be."""


def pack_images(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """Encode images [n, 28, 28] and labels [n], both uint8."""
    buffer = io.BytesIO()
    np.savez(buffer, images=images, labels=labels)
    return buffer.getvalue()


def unpack_images(data: bytes) -> Images:
    """Decode what :func:`pack_images` made.

    Raises
    ------
    CorruptData
        If ``data`` is truncated or something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            if sum(entry.file_size for entry in arrays.zip.infolist()) > len(data):
                raise ValueError("it unpacks to more than it is: images are not compressed")
            images, labels = arrays["images"], arrays["labels"]
    except Exception as error:  # NumPy and zipfile pass on those of a dozen modules
        raise CorruptData(f"{len(data)} bytes are not whole images and labels: {error}") from error
    are_arrays = isinstance(images, np.ndarray) and isinstance(labels, np.ndarray)  # another entry of a zip is bytes
    if not are_arrays or {images.dtype, labels.dtype} != {np.dtype(np.uint8)}:
        raise CorruptData("images and labels are not arrays of uint8")
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise CorruptData(f"images {images.shape} and labels {labels.shape} are not n x 28 x 28 and n")
    return images, labels
