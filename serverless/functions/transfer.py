"""How a function reads and writes objects: by URLs that it was given, without credentials.

``file://`` URLs come from the directory store, ``http(s)://`` ones are presigned by an object store; each allows
one verb on one object. A URL of another store than the one that the function was deployed for is refused
(:mod:`serverless.functions.store_limit`). This module is shipped into functions: it imports the standard library, and
``requests`` only when a URL needs it.

A store that is slow, full or gone for some seconds is asked again, with growing waits, until :data:`PATIENCE_S` is
over; a refusal is final. What a store sends is compared with the MD5 sum in the object's ETag, and what is sent to it
goes with its MD5 sum (``Content-MD5``), so that damaged bytes are sent again, not learnt from.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from pathlib import Path

from machine.files import write_whole
from serverless.functions.backoff import attempts
from serverless.functions.over_http import TOO_LARGE, Outcome, ask, too_large
from serverless.functions.store_limit import local_path, refusal

__all__ = ["TOO_LARGE", "TransferError", "deliver", "fetch"]
PATIENCE_S = 30.0  # with one object, from the first attempt to the beginning of the last one
BACKOFF_S = 0.2  # before the second attempt; see :mod:`serverless.functions.backoff`
PASSING_ERRNO = {  # a drive that is full or away may be well again in a moment
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "ESTALE", "EAGAIN", "EINTR", "EBUSY", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN")
    if hasattr(errno, name)
}


class TransferError(RuntimeError):
    """An object could not be read or written.

    Parameters
    ----------
    status
        The HTTP status of the answer, 404 also where a file is missing, 413 (:data:`TOO_LARGE`) for an object that is
        larger than it may be; ``None`` if there was no answer, or a store's whole folder is away.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def fetch(url: str, most_bytes: int | None = None) -> bytes:
    """Return the object behind ``url``.

    Parameters
    ----------
    most_bytes
        Of an object that is larger, no more is read, and it is refused; ``None``: any size.

    Raises
    ------
    TransferError
        If it is not there or too large, the URL does not allow reading it (any more), or the store cannot be reached.
    """
    if (path := _local_path(url)) is None:
        return _patiently("GET", url, functools.partial(ask, "GET", url, None, set(), most_bytes))
    return _patiently("GET", url, lambda: _whole(_on_disk(path, lambda: _read(path, most_bytes)), most_bytes))


def deliver(url: str, data: bytes) -> None:
    """Write ``data`` as the object behind ``url``: whole or not at all.

    Raises
    ------
    TransferError
        If the URL does not allow writing it (any more), or the store cannot be reached.
    """
    if (path := _local_path(url)) is None:
        _patiently("PUT", url, functools.partial(ask, "PUT", url, data, set()))
    else:
        _patiently("PUT", url, lambda: _on_disk(path, lambda: _write(path, data)))


def _patiently(verb: str, url: str, once: Callable[[], Outcome]) -> bytes:
    outcome, number = Outcome(), 0
    for number in attempts(PATIENCE_S, BACKOFF_S):  # noqa: B007 - used in the error text
        outcome = once()
        if outcome.data is not None:
            return outcome.data
        if outcome.final:
            break
    raise TransferError(f"{verb} {_shown(url)}: {outcome.reason} (attempt {number})", outcome.status)


def _read(path: Path, most_bytes: int | None) -> bytes:
    with path.open("rb") as file:
        return file.read(-1 if most_bytes is None else most_bytes + 1)


def _whole(outcome: Outcome, most_bytes: int | None) -> Outcome:
    """Refuse what was cut off because it is larger than it may be."""
    if outcome.data is None or most_bytes is None or len(outcome.data) <= most_bytes:
        return outcome
    return too_large(most_bytes)


def _write(path: Path, data: bytes) -> None:
    """Write a file; its folder may be gone, as that of a closed round is, but not the one above it."""
    path.parent.mkdir(exist_ok=True)
    write_whole(path, data, durable=False)


def _local_path(url: str) -> Path | None:
    """Return the file behind an allowed URL, ``None`` if it is an object store's; refuse all others."""
    try:
        path, reason = local_path(url), refusal(url)
    except ValueError as error:
        raise TransferError(f"{_shown(url)}: is no URL: {error}") from None
    if path is None and not url.startswith(("http://", "https://")):
        raise TransferError(f"{_shown(url)}: expected a URL that begins with file:///, http:// or https://")
    if reason:
        raise TransferError(f"{_shown(url)}: {reason}")
    return path and path.resolve()  # what was looked at is what is opened


def _on_disk(path: Path, action: Callable[[], bytes | None]) -> Outcome:
    try:
        return Outcome(action() or b"")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        passing = _is_gone(path) if missing else error.errno in PASSING_ERRNO
        status = 404 if missing and not passing else None  # while the store is away, it is not known what is missing
        return Outcome(None, error.strerror or str(error), status, final=not passing)


def _is_gone(path: Path) -> bool:
    """Whether the store itself is away, such as a network drive, rather than the one object or its folder."""
    return not any(folder.is_dir() for folder in list(path.parents)[:3])


def _shown(url: str) -> str:
    """Return ``url`` without its query, where the signature is."""
    return url.partition("?")[0]
