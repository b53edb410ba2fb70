"""Receives the answers of asynchronous invocations, which OpenFaaS's queue worker posts to ``X-Callback-Url``."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from machine.http_chunks import read_body
from machine.json_values import read_json
from serverless.platforms.openfaas.client import CALL_ID, read_reply
from serverless.platforms.protocol import Invocation

_STATUS = "X-Function-Status"
_STATUS_CODE = re.compile("[1-5][0-9]{2}")
_MOST_BYTES = 8 << 20  # of an answer
_SILENT_S = 30.0  # how long a sender may say nothing


class Callbacks:
    """Addresses that answers are posted to, each good for one answer and known to one call alone.

    Parameters
    ----------
    base_url
        This receiver's address as the gateway reaches it.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._waiting: dict[str, tuple[Future[Invocation], str | None]] = {}

    @contextmanager
    def expect(self, deployment: str | None = None) -> Iterator[tuple[str, Future[Invocation]]]:
        """Give out an address and what will hold the answer; after the context it is good for nothing."""
        token = secrets.token_urlsafe(24)
        self._waiting[token] = Future(), deployment
        try:
            yield f"{self._base_url}/{token}", self._waiting[token][0]
        finally:
            self._waiting.pop(token, None)

    def awaits(self, token: str) -> bool:
        """Whether an answer with this token is waited for: of any other, nothing need be read."""
        return token in self._waiting

    def take(self, token: str, headers: Any, data: bytes) -> bool:
        """Take an answer; ``False`` if nobody waits for it (any more)."""
        future, deployment = self._waiting.pop(token, (None, None))
        if future is None:
            return False
        try:
            said = read_json(data)
        except ValueError:
            said = {}
        said = said if isinstance(said, dict) else {}
        status = headers.get(_STATUS, "200")
        error = str(said.get("error") or data[:200].decode("utf-8", errors="replace"))
        code = int(status) if _STATUS_CODE.fullmatch(status) else 500
        future.set_result(read_reply(code, said, headers, error, headers.get(CALL_ID), deployment))
        return True


@contextmanager
def receive(callback_host: str) -> Iterator[Callbacks]:
    """Listen for the time of the context.

    Parameters
    ----------
    callback_host
        ``HOST`` or ``HOST:PORT`` as the gateway reaches it; without a port, a free one is taken.

    Raises
    ------
    OSError
        If the port is taken, or the host is not this machine's.
    """
    host, _, port = callback_host.partition(":")
    server = ThreadingHTTPServer((host, int(port or 0)), _Handler)
    server.daemon_threads = True
    callbacks = Callbacks(f"http://{host}:{server.server_port}")
    cast(Any, server).callbacks = callbacks
    thread = threading.Thread(target=server.serve_forever, name="callbacks", daemon=True)
    thread.start()
    try:
        yield callbacks
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENT_S

    def do_POST(self) -> None:
        callbacks, token = cast(Any, self.server).callbacks, self.path.lstrip("/")
        try:
            taken = callbacks.awaits(token)
            if taken:
                taken = callbacks.take(token, self.headers, b"".join(read_body(self.headers, self.rfile, _MOST_BYTES)))
        except (ValueError, OSError):  # a time-out is an OSError
            taken = False
        self.send_response(200 if taken else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the addresses, which are secrets, out of the log."""
