"""Hands a token down to a process that is started, by a pipe, and refuses requests that come without it.

A token in the environment or in the command line could be read there: by the code that the process runs, and from the
command line by everybody. It is shipped into functions, so it imports the standard library only.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

TOKEN_HEADER = "X-Container-Token"  # noqa: S105 - its name


@contextmanager
def piped(token: str) -> Iterator[int]:
    """Yield the reading end of a pipe that holds ``token`` and then ends: the standard input of a new process."""
    reading, writing = os.pipe()
    os.write(writing, token.encode())  # a pipe is longer than a token, so that this waits for no reader
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)


class Guarded(BaseHTTPRequestHandler):
    """Refuses requests without ``token`` before their bodies are read; an empty one lets everybody in."""

    token = ""

    def parse_request(self) -> bool:
        """Read a request's head; ``False`` if it was answered with an error."""
        if not super().parse_request():
            return False
        given = self.headers.get(TOKEN_HEADER, "")
        del self.headers[TOKEN_HEADER]
        if not self.token or hmac.compare_digest(given.encode(), self.token.encode()):
            return True
        self.close_connection = True  # the body is left unread
        self.send_response_only(403)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False
