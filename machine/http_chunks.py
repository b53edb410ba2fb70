"""Reading the body of an HTTP request that may come in chunks, which Python's own server leaves to its handlers.

It is shipped into functions, so it imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

_PIECE_BYTES = 1 << 16


def read_body(headers: Message, stream: BufferedIOBase) -> Iterator[bytes]:
    """Yield a request's body piece by piece, whether it has a length or comes in chunks (RFC 9112, 7.1).

    Raises
    ------
    ValueError
        If the size of a chunk, or the length, is no number.
    """
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        while size := int(stream.readline().partition(b";")[0], 16):
            yield stream.read(size)
            stream.readline()
        while stream.readline() not in (b"\r\n", b"\n", b""):
            continue  # trailers
        return
    left = int(headers.get("Content-Length", 0))
    while left > 0 and (piece := stream.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
        yield piece
