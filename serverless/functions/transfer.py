"""How a function reads and writes objects: by URLs it was given, without credentials of its own.

``file://`` URLs come from the directory store, ``http(s)://`` ones are presigned by an object store; each is good
for one object and one verb. This module is shipped into functions: it imports the standard library, and ``requests``
only when a URL needs it.
"""

from __future__ import annotations

import functools
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    import requests

CONNECT_WITHIN_S = 5.0
READ_WITHIN_S = 30.0  # between two pieces of an answer, not for all of it
ATTEMPTS = 4
_CHUNK_BYTES = 1 << 20  # with the 10 kB that requests takes by itself, 2 MB take twice as long to fetch
TRUSTED = "trusted.pem"  # beside __main__.py, where the deployer names authorities to trust
BACKOFF_S = 0.2  # before the second attempt, doubled before each later one


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


def fetch(url: str) -> bytes:
    """Return the object behind ``url``.

    Raises
    ------
    TransferError
        If it is not there, the URL is not good for reading it (any more), or the store cannot be reached.
    """
    if (path := _local_path(url)) is None:
        return _request("GET", url)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _of_file("GET", url, error) from error


def deliver(url: str, data: bytes) -> None:
    """Write ``data`` as the object behind ``url``: whole or not at all.

    Raises
    ------
    TransferError
        If the URL is not good for writing it (any more), or the store cannot be reached.
    """
    if (path := _local_path(url)) is None:
        _request("PUT", url, data)
        return
    try:
        write_whole(path, data)
    except OSError as error:
        raise _of_file("PUT", url, error) from error


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


def _of_file(verb: str, url: str, error: OSError) -> TransferError:
    status = 404 if isinstance(error, FileNotFoundError) else None
    return TransferError(f"{verb} {url}: {error.strerror or error}", status)


def _request(verb: Literal["GET", "PUT"], url: str, data: bytes | None = None) -> bytes:
    """Send a request; connection errors and answers from 500 up are tried again, refusals are final."""
    import requests  # noqa: PLC0415 - a cold start without HTTP does not pay for it

    again = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    for attempt in range(1, ATTEMPTS + 1):
        if attempt > 1:
            time.sleep(BACKOFF_S * 2 ** (attempt - 2))
        status = None
        try:
            status, body = _send(verb, url, data)
        except requests.RequestException as error:
            reason, final = _cause(error), not isinstance(error, again)
        else:
            if 200 <= status < 300:
                return body
            reason, final = _refusal(status), status < 500
        if final:
            break
    raise TransferError(f"{verb} {_shown(url)}: {reason} (attempt {attempt} of {ATTEMPTS})", status)


def _send(verb: str, url: str, data: bytes | None) -> tuple[int, bytes]:
    time_outs = (CONNECT_WITHIN_S, READ_WITHIN_S)
    session = _session(os.getpid())
    with session.request(verb, url, data=data, timeout=time_outs, allow_redirects=False, stream=True) as answer:
        return answer.status_code, b"".join(answer.iter_content(_CHUNK_BYTES))


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
