"""One request to an object store by a presigned URL, and what its answer means. Shipped into functions."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from serverless.functions.integrity import content_md5, is_damaged

if TYPE_CHECKING:
    import requests

CONNECT_WITHIN_S = 5.0
READ_WITHIN_S = 30.0  # between two pieces of an answer
WITHIN_S = 60.0  # from the request to the end of its answer
TRUSTED = "trusted.pem"  # beside __main__.py, where the deployer names authorities to trust
TOO_LARGE = 413  # the status of an object that is larger than its reader allows
_MOST_BYTES = 1 << 30  # of an object whose reader names no size
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

    from serverless.functions.http_limits import TooLarge  # noqa: PLC0415 - nor for this, which imports it

    again = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    try:
        status, body, tag = _send(verb, url, data, most_bytes)
    except requests.RequestException as error:
        if isinstance(error, TooLarge) and error.response is not None and error.response.ok:
            return too_large(_MOST_BYTES if most_bytes is None else most_bytes)
        untrusted = isinstance(error, requests.exceptions.SSLError)  # a certificate does not become good by waiting
        return Outcome(None, _cause(error), final=untrusted or not isinstance(error, again))
    if not 200 <= status < 300:
        return Outcome(None, _refusal(status), status, final=not _may_pass(status, body))
    if verb == "GET" and is_damaged(body, tag, met):
        return Outcome(None, "what came are not the bytes that the store names (ETag)", status)
    return Outcome(body)


def _may_pass(status: int, body: bytes) -> bool:
    damaged = status == 400 and any(code in body for code in _DAMAGED)
    return status >= 500 or status in _PASSING_STATUS or damaged


def _send(verb: str, url: str, data: bytes | None, most_bytes: int | None) -> tuple[int, bytes, str]:
    from serverless.functions.http_limits import ask as ask_once  # noqa: PLC0415

    time_outs = (CONNECT_WITHIN_S, READ_WITHIN_S)
    headers = {} if data is None else {"Content-MD5": content_md5(data)}
    limit = _MOST_BYTES if most_bytes is None else most_bytes
    answer = ask_once(
        _session(os.getpid()),
        verb,
        url,
        within_s=WITHIN_S,
        most_bytes=limit,
        data=data,
        headers=headers,
        timeout=time_outs,
    )
    return answer.status_code, answer.content, answer.headers.get("ETag", "")


@functools.cache
def _session(pid: int) -> requests.Session:
    """One session per process keeps connections alive; a forked child must not share its parent's."""
    from serverless.functions.http_limits import bounded_session  # noqa: PLC0415

    session = bounded_session()  # no proxy between a function and its store, no .netrc beside a presigned URL
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
