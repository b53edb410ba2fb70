"""How a function reads and writes objects: by URLs it was given, without credentials of its own.

``file://`` URLs come from the directory store, ``http(s)://`` ones are presigned by an object store; each is good
for one object and one verb. This module is shipped into functions: it imports the standard library, and ``requests``
only when a URL needs it.

A store that is slow, full or gone for some seconds is asked again, with growing waits, until :data:`PATIENCE_S` is
over; a refusal is final. What a store sends is held to the MD5 sum that it names as the object's ETag, and what is sent
to it goes with its MD5 sum (``Content-MD5``), so that bytes damaged on the way are sent again, not learnt from.
"""

from __future__ import annotations

import errno
import functools
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from serverless.functions.backoff import attempts
from serverless.functions.integrity import content_md5, is_damaged

if TYPE_CHECKING:
    import requests

CONNECT_WITHIN_S = 5.0
READ_WITHIN_S = 30.0  # between two pieces of an answer, not for all of it
PATIENCE_S = 30.0  # with one object, from the first attempt to the beginning of the last one
_CHUNK_BYTES = 1 << 20  # with the 10 kB that requests takes by itself, 2 MB take twice as long to fetch
TRUSTED = "trusted.pem"  # beside __main__.py, where the deployer names authorities to trust
BACKOFF_S = 0.2  # before the second attempt; see :mod:`serverless.functions.backoff`
PASSING_ERRNO = {  # a drive that is full or away may be well again in a moment
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "ESTALE", "EAGAIN", "EINTR", "EBUSY", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN")
    if hasattr(errno, name)
}
_PASSING_STATUS = {408, 429}  # and from 500 up
_DAMAGED = (b"<Code>BadDigest<", b"<Code>IncompleteBody<", b"<Code>RequestTimeout<")  # S3's words, with 400


class TransferError(RuntimeError):
    """An object could not be read or written.

    Parameters
    ----------
    status
        The HTTP status of the answer, 404 also where a file is missing; ``None`` if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Outcome:
    """What one attempt came to: the object, or why there is none, and whether to ask again."""

    data: bytes | None = None
    reason: str = ""
    status: int | None = None
    final: bool = False


def fetch(url: str) -> bytes:
    """Return the object behind ``url``.

    Raises
    ------
    TransferError
        If it is not there, the URL is not good for reading it (any more), or the store cannot be reached.
    """
    if (path := _local_path(url)) is None:
        return _patiently("GET", url, functools.partial(_ask, "GET", url, None, set()))
    return _patiently("GET", url, lambda: _on_disk(path, path.read_bytes))


def deliver(url: str, data: bytes) -> None:
    """Write ``data`` as the object behind ``url``: whole or not at all.

    Raises
    ------
    TransferError
        If the URL is not good for writing it (any more), or the store cannot be reached.
    """
    if (path := _local_path(url)) is None:
        _patiently("PUT", url, functools.partial(_ask, "PUT", url, data, set()))
    else:
        _patiently("PUT", url, lambda: _on_disk(path, lambda: _write(path, data)))


def _patiently(verb: str, url: str, once: Callable[[], _Outcome]) -> bytes:
    outcome, number = _Outcome(), 0
    for number in attempts(PATIENCE_S, BACKOFF_S):  # noqa: B007 - told at the end
        outcome = once()
        if outcome.data is not None:
            return outcome.data
        if outcome.final:
            break
    raise TransferError(f"{verb} {_shown(url)}: {outcome.reason} (attempt {number})", outcome.status)


def _write(path: Path, data: bytes) -> None:
    """Write a file; its folder may be gone, as that of a round that was closed meanwhile is."""
    if not _is_gone(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there: a reader sees the old content or the new, never a part.

    The folder must exist. Names that begin with a dot are left to such unfinished files. Nothing is forced to the
    disk: a file survives the end of the process, not of the machine.
    """
    aside = path.with_name(f".{uuid.uuid4().hex}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _local_path(url: str) -> Path | None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise TransferError(f"{_shown(url)}: is no URL: {error}") from None
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise TransferError(f"{_shown(url)}: expected a URL that begins with file:///, http:// or https://")
    return Path(url2pathname(parts.path))


def _on_disk(path: Path, action: Callable[[], bytes | None]) -> _Outcome:
    try:
        return _Outcome(action() or b"")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        passing = _is_gone(path) if missing else error.errno in PASSING_ERRNO
        return _Outcome(None, error.strerror or str(error), 404 if missing else None, final=not passing)


def _is_gone(path: Path) -> bool:
    """Whether the store itself is away, such as a network drive, rather than the one object or its folder."""
    return not any(folder.is_dir() for folder in list(path.parents)[:3])


def _ask(verb: Literal["GET", "PUT"], url: str, data: bytes | None, met: set[str]) -> _Outcome:
    """Send a request; connection errors and answers from 500 up may pass, refusals are final.

    Parameters
    ----------
    met
        See :func:`serverless.functions.integrity.is_damaged`.
    """
    import requests  # noqa: PLC0415 - a cold start without HTTP does not pay for it

    again = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    try:
        status, body, tag = _send(verb, url, data)
    except requests.RequestException as error:
        untrusted = isinstance(error, requests.exceptions.SSLError)  # a certificate does not become good by waiting
        return _Outcome(None, _cause(error), final=untrusted or not isinstance(error, again))
    if not 200 <= status < 300:
        return _Outcome(None, _refusal(status), status, final=not _may_pass(status, body))
    if verb == "GET" and is_damaged(body, tag, met):
        return _Outcome(None, "what came are not the bytes that the store names (ETag)", status)
    return _Outcome(body)


def _may_pass(status: int, body: bytes) -> bool:
    damaged = status == 400 and any(code in body for code in _DAMAGED)
    return status >= 500 or status in _PASSING_STATUS or damaged


def _send(verb: str, url: str, data: bytes | None) -> tuple[int, bytes, str]:
    time_outs = (CONNECT_WITHIN_S, READ_WITHIN_S)
    headers = {} if data is None else {"Content-MD5": content_md5(data)}
    session = _session(os.getpid())
    with session.request(
        verb, url, data=data, headers=headers, timeout=time_outs, allow_redirects=False, stream=True
    ) as answer:
        return answer.status_code, b"".join(answer.iter_content(_CHUNK_BYTES)), answer.headers.get("ETag", "")


@functools.cache
def _session(pid: int) -> requests.Session:
    """One session per process keeps connections alive; a forked child must not share its parent's."""
    import requests  # noqa: PLC0415

    session = requests.Session()
    session.trust_env = False  # no proxy between a function and its store, no .netrc beside a presigned URL
    session.verify = _authorities()
    return session


def _authorities() -> str | bool:
    """Whom to trust: the file that came with the function, else the image's choice, else certifi's."""
    shipped = Path(__file__).resolve().parents[2] / TRUSTED
    return str(shipped) if shipped.is_file() else os.environ.get("REQUESTS_CA_BUNDLE") or True


def _refusal(status: int) -> str:
    reasons = {
        403: "refused: the URL has expired, or is for another object or verb",
        404: "no such object",
    }
    return f"{status} {reasons.get(status, 'from the object store')}"


def _cause(error: Exception) -> str:
    """Name an error without its text, which would carry the URL's signature into logs."""
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", inner)
    kind = type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__
    return f"no answer from the object store ({kind})"


def _shown(url: str) -> str:
    """Return ``url`` without its query, where the signature is."""
    return url.partition("?")[0]
