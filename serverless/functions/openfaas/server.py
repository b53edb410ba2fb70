"""What the functions have in common on OpenFaaS: the HTTP server that the watchdog passes requests on to.

One request at a time, in the main thread, each on a connection of its own. The address is the watchdog's
``http_upstream_url``. Source of the contract: openfaas/of-watchdog, mode ``http``; its requests come in chunks.

Other users of a machine can reach the port of a process that is no container: so the embedded watchdog says with
``fl_upstream_token=stdin`` that only requests with the token on the standard input are to be answered.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

from machine.handover import Guarded
from machine.http_chunks import WITHIN_S, BadBody, read_body
from machine.json_values import read_json

Function = Callable[[dict[str, Any]], dict[str, Any]]
READY_PATH = "/ready"
DEPLOYMENT = "X-Function-Deployment"  # header of every answer: which deployment gave it
DEPLOYMENT_VARIABLE = "fl_deployment"
TOKEN_VARIABLE = "fl_upstream_token"  # noqa: S105 - its name


class _Handler(Guarded, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one piece
    timeout = WITHIN_S  # of a sender that says nothing
    function: Function

    def do_GET(self) -> None:
        if self.path == READY_PATH:
            self._answer(200, {"ready": True})
        else:
            self._answer(404, {"error": f"nothing is at {self.path}"})

    def do_POST(self) -> None:
        try:
            params = read_json(b"".join(read_body(self.headers, self.rfile)))
            if not isinstance(params, dict):
                raise ValueError("an object is expected")
        except ValueError as error:
            status = error.status if isinstance(error, BadBody) else 400
            self._answer(status, {"error": f"the request is no JSON object: {error}"})
            return
        try:
            result = type(self).function(params)
        except Exception as error:
            traceback.print_exc()
            self._answer(500, {"error": f"{type(error).__name__}: {error}"})
        else:
            self._answer(200, result)

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")  # a kept connection would keep the others waiting
        self.send_header(DEPLOYMENT, os.environ.get(DEPLOYMENT_VARIABLE, ""))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep requests out of the function's logs."""


def serve(function: Function) -> None:
    """Answer requests with ``function`` until the process is ended."""
    address = urlsplit(os.environ["http_upstream_url"])  # noqa: SIM112 - the name is of-watchdog's
    token = sys.stdin.read() if os.environ.get(TOKEN_VARIABLE) == "stdin" else ""
    handler = type("Handler", (_Handler,), {"function": staticmethod(function), "token": token})
    with HTTPServer((address.hostname or "127.0.0.1", address.port or 5000), handler) as server:
        server.serve_forever()
