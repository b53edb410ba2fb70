"""MNIST's four arrays: what they must be, and how they are read from files on this machine.

In a folder they are the IDX files of the original distribution, gzipped or not; Keras keeps the same arrays in one
``mnist.npz``. No file is trusted: :func:`verify` compares the digest of the values.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import mmap
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from task.mnist.idx import DataError, decode

Arrays = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Part:
    """One of the arrays: its names in the places it is found, its shape, and the SHA-256 of its bytes."""

    name: str
    idx_file: str
    npz_key: str
    shape: tuple[int, ...]
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} ({self.idx_file}, or {self.npz_key} of mnist.npz)"


# Digests of the values of the files with these MD5 sums, the ones that are published for the original files:
# 6bbc9ace898e44ae57da46a324031adb, a25bea736e30d166cdddb491f175f624 (train images, labels),
# 2646ac647ad5339dbf082846283269ea, 27ae3e4e09519cfbb04c329615203637 (test images, labels).
PARTS = (
    Part(
        "train_images",
        "train-images-idx3-ubyte",
        "x_train",
        (60_000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    Part(
        "train_labels",
        "train-labels-idx1-ubyte",
        "y_train",
        (60_000,),
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    ),
    Part(
        "test_images",
        "t10k-images-idx3-ubyte",
        "x_test",
        (10_000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    Part(
        "test_labels",
        "t10k-labels-idx1-ubyte",
        "y_test",
        (10_000,),
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
)


def verify(arrays: Arrays, where: str) -> None:
    """Refuse arrays that are not those of MNIST.

    Raises
    ------
    DataError
        If an array has another shape, type or value than MNIST's.
    """
    for part in PARTS:
        array = arrays[part.name]
        found, expected = (array.dtype.name, array.shape), ("uint8", part.shape)
        if found != expected:
            raise DataError(f"{where}: {part} is {_described(found)}, expected {_described(expected)}")
        digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
        if digest != part.sha256:
            raise DataError(f"{where}: {part} holds other values than MNIST: SHA-256 {digest}, expected {part.sha256}")


def _described(kind: tuple[str, tuple[int, ...]]) -> str:
    return f"{kind[0]} {' x '.join(map(str, kind[1]))}"


def read(path: Path) -> Arrays:
    """Read a folder of IDX files, or an ``mnist.npz``.

    Raises
    ------
    DataError
        If there is no such thing, or a file in it is not what its name says.
    """
    if path.is_dir():
        return {part.name: _read_idx(path, part) for part in PARTS}
    try:
        return read_npz(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_npz(data: bytes, where: str) -> Arrays:
    """Read Keras' ``mnist.npz`` from its bytes; raises :class:`DataError` if it is something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {part.name: archive[part.npz_key] for part in PARTS}
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{where}: is no mnist.npz as Keras keeps it, with the arrays "
            f"{', '.join(part.npz_key for part in PARTS)}: {error}"
        ) from error


def _read_idx(folder: Path, part: Part) -> NDArray[np.uint8]:
    dotted = part.idx_file.replace("-idx", ".idx")
    names = [name + ending for name in (part.idx_file, dotted) for ending in ("", ".gz")]
    for path in (folder / name for name in names):
        if path.exists():
            return decode(_contents(path), str(path))
    raise DataError(f"{folder / part.idx_file}: no such file, nor {part.idx_file}.gz")


def _contents(path: Path) -> bytes | mmap.mmap:
    """Map a plain file, so that the processes of a run share one copy in memory; unpack a gzipped one."""
    try:
        if path.suffix == ".gz":
            return gzip.decompress(path.read_bytes())
        if path.stat().st_size == 0:  # nothing to map
            return b""
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read, it may be cut short: {error}") from error
