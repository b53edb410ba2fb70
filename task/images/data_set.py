"""A data set of images: what is known of it before it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from task.images.files import Arrays, Part, read
from task.images.idx import DataError


@dataclass(frozen=True)
class DataSet:
    """Grey images of 28 x 28 with labels 0 to 9.

    Parameters
    ----------
    name
        Its name in configurations.
    title, licence
        For people.
    parts
        The four arrays (:func:`task.images.files.four_parts`).
    sources
        Where it can be had: a name in words, and a function that fetches the arrays or raises :class:`DataError`. They
        are tried in this order. What they return is not trusted.
    """

    name: str
    title: str
    licence: str
    parts: tuple[Part, ...]
    sources: tuple[tuple[str, Callable[[], Arrays]], ...]

    @property
    def training_images(self) -> int:
        """How many images can be dealt to the clients."""
        return self.parts[0].shape[0]

    @property
    def sha256(self) -> str:
        """One digest of the four arrays: the SHA-256 of the lines ``<name> <SHA-256 of its bytes>``."""
        lines = "".join(f"{part.name} {part.sha256}\n" for part in self.parts)
        return hashlib.sha256(lines.encode()).hexdigest()

    def read(self, path: Path) -> Arrays:
        """Read a folder of IDX files or an ``.npz``; raises :class:`DataError` if it is not this data set."""
        arrays = read(path, self.parts)
        self.verify(arrays, str(path))
        return arrays

    def verify(self, arrays: Arrays, where: str) -> None:
        """Refuse arrays that are not those of this data set.

        Raises
        ------
        DataError
            If an array has another shape, type or value.
        """
        for part in self.parts:
            array = arrays[part.name]
            found, expected = (array.dtype.name, array.shape), ("uint8", part.shape)
            if found != expected:
                raise DataError(f"{where}: {part} is {_described(found)}, expected {_described(expected)}")
            digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
            if digest != part.sha256:
                raise DataError(
                    f"{where}: {part} holds other values than {self.title}: SHA-256 {digest}, expected {part.sha256}"
                )


def _described(kind: tuple[str, tuple[int, ...]]) -> str:
    return f"{kind[0]} {' x '.join(map(str, kind[1]))}"
