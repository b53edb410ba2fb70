"""The images that are learnt, by the name of their data set.

They come from the first of these that has them: a path in the configuration, the cache, the sources of the data set.
Arrays from everywhere are compared with their SHA-256 before they are used or cached.

Usage::

    python -m task.data --cache .cache/mnist
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from task.images import cache
from task.images.data_set import DataSet
from task.images.idx import DataError
from task.mnist import MNIST

__all__ = ["DATA_SETS", "DataError", "DataSettings", "Images", "load_images"]

DATA_SETS: dict[str, DataSet] = {
    "mnist": MNIST,
}


@dataclass(frozen=True)
class DataSettings:
    """Where the images are.

    Parameters
    ----------
    cache
        Folder in which they are kept after the first load; made if missing.
    path
        Folder of the four IDX files, or an ``.npz``; used instead of everything else if given.
    """

    cache: Path
    path: Path | None = None


@dataclass(frozen=True, eq=False)
class Images:
    """A data set, verified; its arrays are read-only.

    Parameters
    ----------
    train_images, test_images
        uint8, (n, 28, 28), 0 is background and 255 ink.
    train_labels, test_labels
        uint8, (n,), 0 to 9.
    sha256
        :attr:`task.images.data_set.DataSet.sha256`.
    source
        Where it came from, in words.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    sha256: str
    source: str


def load_images(name: str, settings: DataSettings) -> Images:
    """Return the images of a data set; fetch and cache them first if this machine does not have them.

    Loads from the cache share one copy in memory. MNIST takes some 30 ms, nearly all of it for the digests.

    Raises
    ------
    DataError
        If the configured path contains something else, or no source has the data; the message quotes each source.
    """
    data_set = DATA_SETS[name]
    try:
        if settings.path is not None:
            arrays, source = data_set.read(settings.path), str(settings.path)
        else:
            arrays, source = cache.load(data_set, settings.cache)
    except DataError as error:
        raise DataError(f"{error}\n{_advice(data_set)}") from error
    for array in arrays.values():
        array.setflags(write=False)
    return Images(**arrays, sha256=data_set.sha256, source=source)


def _advice(data_set: DataSet) -> str:
    return (
        f"Put the four IDX files of {data_set.title} (gzipped or not), or Keras' .npz, on this machine and name "
        "the folder or the file in the configuration: data.path=PATH"
    )


def main(arguments: list[str] | None = None) -> int:
    """Load a data set as the command line says, and print where it came from and what it is."""
    parser = argparse.ArgumentParser(prog="python -m task.data", description="Fetch and verify a data set.")
    parser.add_argument("name", nargs="?", choices=DATA_SETS, default="mnist", help="the data set")
    parser.add_argument("--cache", type=Path, default=Path(".cache/mnist"), help="folder it is kept in")
    parser.add_argument("--path", type=Path, help="folder of the four IDX files, or an .npz, to use")
    options = parser.parse_args(arguments)
    try:
        images = load_images(options.name, DataSettings(options.cache, options.path))
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    data_set = DATA_SETS[options.name]
    print(f"{data_set.title} ({data_set.licence})\nfrom {images.source}")
    for part in data_set.parts:
        print(f"  {part.name:<12}  uint8 {' x '.join(map(str, part.shape)):<15}  SHA-256 {part.sha256}")
    print(f"  all four: {images.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
