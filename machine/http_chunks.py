"""Reading the body of an HTTP request that may come in chunks, which Python's own server leaves to its handlers.

It is shipped into functions, so it imports the standard library only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

MOST_BYTES = 64 << 20  # of a body; platforms take a few MB
WITHIN_S = 60.0  # from the first byte of a body to its last
_PIECE_BYTES = 1 << 16
_LONGEST_LINE = 4096
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LENGTH = re.compile(r"[0-9]{1,12}")


class BadBody(ValueError):  # noqa: N818 - reads as the fact that it states
    """A body that is not taken; ``status`` is what HTTP says of it: 400, 408 (too slow) or 413 (too large)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_body(
    headers: Message, stream: BufferedIOBase, most_bytes: int = MOST_BYTES, within_s: float = WITHIN_S
) -> Iterator[bytes]:
    """Yield a request's body piece by piece, whether it has a length or comes in chunks (RFC 9112, 7.1).

    Parameters
    ----------
    most_bytes, within_s
        What is larger, or takes longer, is refused. A stream that says nothing at all is ended by the timeout of its
        socket, which is the server's to set.

    Raises
    ------
    BadBody
        If the size of a chunk, or the length, is no number or too large, the body ends before it is whole, or is not
        whole in time.
    """
    try:
        yield from _pieces(headers, stream, most_bytes, within_s)
    except OSError as error:  # a time-out of the socket is one
        late = isinstance(error, TimeoutError)
        raise BadBody(408 if late else 400, "the body stops before it is whole") from error


def _pieces(headers: Message, stream: BufferedIOBase, most_bytes: int, within_s: float) -> Iterator[bytes]:
    give_up_at = time.monotonic() + within_s
    left = most_bytes
    for size in _sizes(headers, stream):
        left -= size
        if left < 0:
            raise BadBody(413, f"the body is larger than {most_bytes} bytes")
        missing = size
        while missing:
            if time.monotonic() > give_up_at:
                raise BadBody(408, f"the body is not whole after {within_s:g} s")
            piece = stream.read1(min(missing, _PIECE_BYTES))
            if not piece:
                raise BadBody(400, "the body ends before it is whole")
            missing -= len(piece)
            yield piece


def _sizes(headers: Message, stream: BufferedIOBase) -> Iterator[int]:
    """Yield how many bytes of the body come next, as long as any do."""
    if "chunked" not in headers.get("Transfer-Encoding", "").lower():
        length = headers.get("Content-Length", "0").strip()
        if not _LENGTH.fullmatch(length):
            raise BadBody(400, "Content-Length is no number of bytes")
        yield int(length)
        return
    while size := _chunk_size(stream.readline(_LONGEST_LINE)):
        yield size
        stream.readline(_LONGEST_LINE)
    for _ in range(100):  # trailers
        if stream.readline(_LONGEST_LINE) in (b"\r\n", b"\n", b""):
            return
    raise BadBody(400, "there are too many trailers")


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    if not _SIZE.fullmatch(size):
        raise BadBody(400, "the size of a chunk is no number")
    return int(size, 16)
