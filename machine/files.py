"""Writing a file whole, also after a crash, and so that it is the user's alone; and naming what goes wrong."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOM_BYTES = 1 << 20  # more than the files of a run when it begins
_POLL_S = 0.2


class DamagedFileError(ValueError):
    """A file of ours with other contents than we write: which one, what is lost, and what to do."""


@contextmanager
def undamaged(path: Path, remedy: str) -> Iterator[None]:
    """Turn what goes wrong while the contents of ``path`` are read into a :class:`DamagedFileError`.

    Parameters
    ----------
    remedy
        What is lost with it, and what to do.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged ({type(error).__name__}: {error}): {remedy}") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an :class:`OSError` name the file: the system names none where a disk is full, or only a draft of ours."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


@contextmanager
def private() -> Iterator[None]:
    """Let everything that is made in the block, also by processes that are started in it, be the user's alone.

    Files, folders and Unix sockets get no rights for the group and for others (man 2 umask).
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def await_room(folder: Path, patience_s: float, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Wait until something can be written to a folder again, at most so long: others may free what is full."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end and not is_stopped():
        with suppress(OSError):
            probe = folder / f".{uuid.uuid4().hex}"
            write_whole(probe, bytes(_ROOM_BYTES))
            probe.unlink()
            return
        time.sleep(_POLL_S)


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file beside its place, then move it there: a reader sees the old content or the new, never a part.

    The folder must exist. Names that begin with a dot are left to such unfinished files.

    Parameters
    ----------
    durable
        Whether the data are forced to the disk, so that they also survive the end of the machine and not only that of
        the process. An object that a round needs once does not need it.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left beside it then.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with naming(path):
            with draft.open("wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
