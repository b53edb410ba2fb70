"""The IDX file format of the MNIST database: a header of big-endian integers, then the values.

The format is described at the end of http://yann.lecun.com/exdb/mnist/: two zero bytes, a type code (8 is an
unsigned byte, the only one MNIST uses), the number of dimensions, each dimension as a 32-bit integer, the
values.
"""

from __future__ import annotations

import math
import mmap
import struct

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 8


class DataError(RuntimeError):
    """The images or labels cannot be had, or are not the ones they should be."""


def decode(data: bytes | mmap.mmap, where: str) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    data
        The whole file. The array is a read-only view of it, not a copy.
    where
        What to call the file in an error.

    Raises
    ------
    DataError
        If the header is not that of such a file, or promises more or fewer bytes than there are.
    """
    head = bytes(data[:4])
    if len(head) < 4 or head[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise DataError(
            f"{where}: begins with {head.hex(' ') or 'nothing'}, which is no IDX file of unsigned bytes "
            f"(expected 00 00 08 and the number of dimensions)"
        )
    start = 4 + 4 * head[3]
    if len(data) < start:
        raise DataError(f"{where}: ends inside its header: {len(data)} bytes of {start}")
    shape = struct.unpack(f">{head[3]}I", data[4:start])
    expected = start + math.prod(shape)
    if len(data) != expected:
        state = "cut short" if len(data) < expected else "followed by something else"
        raise DataError(
            f"{where}: is {state}: {len(data)} bytes, expected {expected} for the shape {shape} in its header"
        )
    try:
        return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # more dimensions than NumPy has, or an empty array of astronomic ones
        raise DataError(f"{where}: the shape {shape} in its header is no array's: {error}") from error


def encode(array: NDArray[np.uint8]) -> bytes:
    """Return the IDX file of ``array``, of any shape with at most 255 dimensions."""
    header = bytes([0, 0, _UNSIGNED_BYTE, array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
