"""The folder in which a data set is kept between runs, and how it is filled.

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

from task.images.data_set import DataSet
from task.images.files import Arrays
from task.images.idx import DataError, encode

_log = logging.getLogger(__name__)


def load(data_set: DataSet, cache: Path) -> tuple[Arrays, str]:
    """Return the arrays and where they came from, in words; fetch them into ``cache`` if it lacks them.

    Processes that come at once wait for the one that fetches.

    Raises
    ------
    DataError
        If they are not there and no source has them; the message quotes each source.
    """
    try:
        return data_set.read(cache), str(cache)
    except DataError:
        with _alone_in(cache):
            return _fill(data_set, cache)


def _fill(data_set: DataSet, cache: Path) -> tuple[Arrays, str]:
    said = []
    try:
        return data_set.read(cache), str(cache)  # another process has filled it while this one waited
    except DataError as error:
        said.append(str(error))
        if any((cache / part.idx_file).exists() for part in data_set.parts):
            _log.warning("The cached %s is damaged and is fetched again: %s", data_set.title, error)
    for name, fetch in data_set.sources:
        try:
            arrays = fetch()
            data_set.verify(arrays, name)
        except DataError as error:
            said.append(str(error))
        else:
            _keep(data_set, arrays, cache)
            return data_set.read(cache), f"{name}, now in {cache}"
    reasons = "\n".join(f"  - {reason}" for reason in said)
    raise DataError(f"{data_set.title} could not be had from any of its sources:\n{reasons}")


def _keep(data_set: DataSet, arrays: Arrays, cache: Path) -> None:
    """Write all files into a folder of their own, then move each into place; the caller has the cache's lock.

    The one folder has a known name, so that what a killed process left of some 50 MB is removed here.
    """
    aside = cache / ".partial"
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
        aside.mkdir()
        try:
            for part in data_set.parts:
                (aside / part.idx_file).write_bytes(encode(arrays[part.name]))
            for part in data_set.parts:
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
        f"{cache}: images cannot be kept there: {error.strerror or error}. Name a folder that can be written "
        f"and has 60 MB to spare: data.cache=PATH"
    )
