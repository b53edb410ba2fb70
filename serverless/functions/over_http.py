"""One request to an object store by a presigned URL, and what its answer means. Shipped into functions."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from serverless.functions.integrity import content_md5, is_damaged

if TYPE_CHECKING:
    import requests

CONNECT_WITHIN_S = 5.0
READ_WITHIN_S = 30.0  # between two pieces of an answer, not for all of it
TRUSTED = "trusted.pem"  # beside __main__.py, where the deployer names authorities to trust
TOO_LARGE = 413  # the status of an object that is larger than its reader allows
_CHUNK_BYTES = 1 << 20  # with requests' default of 10 kB, 2 MB take twice as long to fetch
_PASSING_STATUS = {408, 429}  # and from 500 up
_DAMAGED = (b"<Code>BadDigest<", b"<Code>IncompleteBody<", b"<Code>RequestTimeout<")  # S3's words, with 400


@dataclass(frozen=True)
class Outcome:
    """The result of one attempt: the object, or why it failed, and whether another attempt is useless."""

    data: bytes | None = None
    reason: str = ""
    status: int | None = None
    final: bool = False


def too_large(most_bytes: int) -> Outcome:
    """Return the outcome of an object that is larger than it may be."""
    return Outcome(None, f"the object is larger than the {most_bytes} bytes that it may have", TOO_LARGE, final=True)


def ask(
    verb: Literal["GET", "PUT"], url: str, data: bytes | None, met: set[str], most_bytes: int | None = None
) -> Outcome:
    """Send a request; connection errors and answers from 500 up may pass, refusals are final.

    Parameters
    ----------
    met
        See :func:`serverless.functions.integrity.is_damaged`.
    most_bytes
        See :func:`serverless.functions.transfer.fetch`.
    """
    import requests  # noqa: PLC0415 - a cold start without HTTP does not pay for it

    again = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    try:
        status, body, tag = _send(verb, url, data, most_bytes)
    except requests.RequestException as error:
        untrusted = isinstance(error, requests.exceptions.SSLError)  # a certificate does not become good by waiting
        return Outcome(None, _cause(error), final=untrusted or not isinstance(error, again))
    if not 200 <= status < 300:
        return Outcome(None, _refusal(status), status, final=not _may_pass(status, body))
    if most_bytes is not None and len(body) > most_bytes:
        return too_large(most_bytes)
    if verb == "GET" and is_damaged(body, tag, met):
        return Outcome(None, "what came are not the bytes that the store names (ETag)", status)
    return Outcome(body)


def _may_pass(status: int, body: bytes) -> bool:
    damaged = status == 400 and any(code in body for code in _DAMAGED)
    return status >= 500 or status in _PASSING_STATUS or damaged


def _send(verb: str, url: str, data: bytes | None, most_bytes: int | None) -> tuple[int, bytes, str]:
    time_outs = (CONNECT_WITHIN_S, READ_WITHIN_S)
    headers = {} if data is None else {"Content-MD5": content_md5(data)}
    session = _session(os.getpid())
    with session.request(
        verb, url, data=data, headers=headers, timeout=time_outs, allow_redirects=False, stream=True
    ) as answer:
        return answer.status_code, _body(answer.iter_content(_CHUNK_BYTES), most_bytes), answer.headers.get("ETag", "")


def _body(chunks: Iterator[bytes], most_bytes: int | None) -> bytes:
    """Put a body together, until it is complete or larger than it may be."""
    read, size = [], 0
    for chunk in chunks:
        read.append(chunk)
        size += len(chunk)
        if most_bytes is not None and size > most_bytes:
            break
    return b"".join(read)


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
