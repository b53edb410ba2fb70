"""The four arrays of a data set of images, and how they are read from files on this machine.

In a folder they are IDX files with the names of MNIST's distribution, gzipped or not; Keras keeps the same arrays in
one ``.npz``. No file is trusted: :meth:`task.images.data_set.DataSet.verify` compares digests.
"""

from __future__ import annotations

import gzip
import io
import mmap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from task.images.idx import DataError, decode

Arrays = dict[str, NDArray[np.uint8]]
SHAPE = (28, 28)  # of an image
MOST_UNPACKED_BYTES = 1 << 30  # of one file


@dataclass(frozen=True)
class Part:
    """One of the arrays: its names in the places it is found, its shape, and the SHA-256 of its bytes."""

    name: str
    idx_file: str
    npz_key: str
    shape: tuple[int, ...]
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} ({self.idx_file}, or {self.npz_key} of an .npz)"


_FILES = (
    ("train_images", "train-images-idx3-ubyte", "x_train"),
    ("train_labels", "train-labels-idx1-ubyte", "y_train"),
    ("test_images", "t10k-images-idx3-ubyte", "x_test"),
    ("test_labels", "t10k-labels-idx1-ubyte", "y_test"),
)


def four_parts(train: int, test: int, *digests: str) -> tuple[Part, ...]:
    """Return the parts for the numbers of images, and the SHA-256 of each array in the order of the files."""
    shapes = ((train, *SHAPE), (train,), (test, *SHAPE), (test,))
    return tuple(Part(*names, shape, digest) for names, shape, digest in zip(_FILES, shapes, digests, strict=True))


def read(path: Path, parts: Sequence[Part]) -> Arrays:
    """Read a folder of IDX files, or an ``.npz``.

    Raises
    ------
    DataError
        If there is no such thing, or a file in it is not what its name says.
    """
    if path.is_dir():
        return {part.name: _read_idx(path, part) for part in parts}
    try:
        return read_npz(path.read_bytes(), str(path), parts)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_npz(data: bytes, where: str, parts: Sequence[Part]) -> Arrays:
    """Read an ``.npz`` of Keras from its bytes; raises :class:`DataError` if it is something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if sum(entry.file_size for entry in archive.zip.infolist()) > MOST_UNPACKED_BYTES:
                raise ValueError(f"it unpacks to more than {MOST_UNPACKED_BYTES} bytes")
            arrays = {part.name: archive[part.npz_key] for part in parts}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):  # what is no .npy comes as bytes
                raise ValueError("an entry is no array")
            return arrays
    except Exception as error:  # NumPy and zipfile pass on those of a dozen modules
        raise DataError(
            f"{where}: is no .npz as Keras keeps it, with the arrays "
            f"{', '.join(part.npz_key for part in parts)}: {error}"
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
            with gzip.open(path) as packed:
                data = packed.read(MOST_UNPACKED_BYTES + 1)
            if len(data) > MOST_UNPACKED_BYTES:
                raise DataError(f"{path}: unpacks to more than {MOST_UNPACKED_BYTES} bytes")
            return data
        if path.stat().st_size == 0:  # nothing to map
            return b""
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read, it may be cut short: {error}") from error
