"""The program of an OpenFaaS container: of-watchdog's contract in its mode ``http``, on an inherited listening socket.

An emulation of openfaas/of-watchdog (commit 9bdadb1), written from its behaviour. It starts ``fprocess`` once, passes
every request on to ``http_upstream_url`` with a chunked body, as that does, and answers with the function's answer and
``X-Duration-Seconds``. Above ``max_inflight`` it answers 429 itself. After ``exec_timeout`` it answers 504, and the
function goes on, although its answer is not used any more. When the function's process ends, so does this one.

A request must carry the container's token, which comes on the standard input. The function gets another one in the same
way, so that it answers this process alone.

Started as ``python -m serverless.emulator.openfaas.watchdog LISTENING_FD SERVER_PID``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from machine.handover import TOKEN_HEADER, Guarded, piped
from machine.http_chunks import WITHIN_S, BadBody, read_body
from machine.tether import tethered, tie
from serverless.emulator.openfaas.watchdog_config import Config, duration_s

UPSTREAM_TOKEN = {"fl_upstream_token": "stdin"}  # tells the function where its token is; real watchdogs have none
Answer = tuple[int, bytes, Mapping[str, str]]  # status, body and headers
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}


class Watchdog:
    """One function process, and how many requests are on their way to it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.lock_file = Path(tempfile.gettempdir(), ".lock")
        self.upstream_token = secrets.token_urlsafe(24)
        self._inflight = 0
        self._guard = threading.Lock()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the function's process."""
        program, *arguments = self.config.fprocess.split(" ")
        found = shutil.which(program)
        if found is None:
            raise FileNotFoundError(f'fork/exec "{program}": no such program')
        with piped(self.upstream_token) as token:
            process = subprocess.Popen(tethered([found, *arguments]), stdin=token, env=os.environ | UPSTREAM_TOKEN)
        if not self.config.suppress_lock:
            self.lock_file.touch()
        return process

    @property
    def is_healthy(self) -> bool:
        """Whether requests are accepted: the lock file is there."""
        return self.config.suppress_lock or self.lock_file.exists()

    @property
    def is_full(self) -> bool:
        """Whether one more request would be refused."""
        return 0 < self.config.max_inflight <= self._inflight

    def enter(self) -> bool:
        """Count a request in; ``False`` if there are too many."""
        with self._guard:
            if self.is_full:
                return False
            self._inflight += 1
            return True

    def leave(self) -> None:
        """Count a request out."""
        with self._guard:
            self._inflight -= 1


class _Handler(Guarded, BaseHTTPRequestHandler):
    """The watchdog's side of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    watchdog: Watchdog

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/_/health":
            healthy = self.watchdog.is_healthy
            self._answer(200 if healthy else 503, b"OK" if healthy else b"")
        elif path == "/_/ready":
            self._ready()
        else:
            self._invoke()

    def _ready(self) -> None:
        if not self.watchdog.is_healthy:
            self._answer(503)
        elif self.watchdog.is_full:
            self._answer(429)
        elif self.watchdog.config.ready_path:
            self._answer(*self._asked(self.watchdog.config.ready_path, b""))
        else:
            self._answer(200)

    def _invoke(self) -> None:
        if self.path.partition("?")[0] in ("/_/health", "/_/ready"):
            self._answer(405)
            return
        if not self.watchdog.enter():
            words = f"Concurrent request limit exceeded. Max concurrent requests: {self.watchdog.config.max_inflight}\n"
            self._answer(429, words.encode(), {"Content-Type": "text/plain", "X-OpenFaaS-Internal": "faas-middleware"})
            self.close_connection = True  # the body is left unread
            return
        try:
            self.connection.settimeout(WITHIN_S)  # of a sender that says nothing
            answer = self._asked(self.path, self._body())
        except BadBody as error:
            self.close_connection = True  # what is left of it is no request
            answer = error.status, f"{error}\n".encode(), {"Content-Type": "text/plain"}
        finally:
            self.connection.settimeout(None)  # the server's connections rest between requests
            self.watchdog.leave()  # first: whoever has its answer may ask again
        self._answer(*answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _invoke  # noqa: N815

    def _body(self) -> bytes | Iterator[bytes]:
        pieces = read_body(self.headers, self.rfile)
        return b"".join(pieces) if self.watchdog.config.buffers_body else pieces

    def _asked(self, path: str, body: bytes | Iterator[bytes]) -> Answer:
        """Ask the function; a total of ``exec_timeout`` (or less, by ``X-Timeout``) for its whole answer.

        Raises
        ------
        machine.http_chunks.BadBody
            If the body of the request is not to be had.
        """
        started_at = time.monotonic()
        longest_s = self.watchdog.config.exec_timeout_s
        limit_s = min(duration_s(self.headers.get("X-Timeout", ""), longest_s), longest_s) or None
        upstream = urlsplit(self.watchdog.config.upstream)
        connection = HTTPConnection(upstream.hostname or "", upstream.port, timeout=limit_s)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers[TOKEN_HEADER] = self.watchdog.upstream_token
        try:
            connection.request(self.command, path, body or None, headers, encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            if limit_s and connection.sock:
                connection.sock.settimeout(max(0.001, started_at + limit_s - time.monotonic()))
            data, status = answer.read(), answer.status
            told = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        except TimeoutError:
            status, data, told = 504, b"", {"X-OpenFaaS-Internal": "of-watchdog"}
        except (OSError, HTTPException) as error:
            print(f"Upstream HTTP request error: {error}", file=sys.stderr)
            status, data, told = 500, b"", {"X-OpenFaaS-Internal": "of-watchdog"}
        finally:
            connection.close()
        return status, data, {**told, "X-Duration-Seconds": f"{time.monotonic() - started_at:f}"}

    def _answer(self, status: int, data: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep requests out of the function's logs."""


def _end_with(process: subprocess.Popen[bytes]) -> None:
    code = process.wait()
    print(f"Forked function has terminated: exit status {code}", file=sys.stderr, flush=True)
    os._exit(1)


def main() -> None:
    """Serve the inherited listening socket until the function's process, or the server, ends."""
    listening_fd, server_pid = (int(argument) for argument in sys.argv[1:])
    tie(server_pid)
    _Handler.token = sys.stdin.read()
    if not _Handler.token:
        sys.exit("this container was given no token on its standard input")
    try:
        _Handler.watchdog = Watchdog(Config.of(os.environ))
        process = _Handler.watchdog.start()
    except (ValueError, OSError) as error:
        sys.exit(f"Error loading config: {error}")
    threading.Thread(target=_end_with, args=(process,), daemon=True).start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=listening_fd)
    server.socket.set_inheritable(False)
    server.serve_forever()


if __name__ == "__main__":
    main()
