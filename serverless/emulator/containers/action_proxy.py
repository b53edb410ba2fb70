"""The action proxy: the program of a container, OpenWhisk's action-container contract on an inherited socket.

Started as a script by its path, ``python -P action_proxy.py LISTENING_FD SERVER_PID``, not as a module: a function may
bring its own package ``serverless``, so ours must not be in the process. Standard library only, to start fast.

The standard input holds the token that requests must carry.

The contract: ``POST /init {"value": {name, main, code, binary, env}}`` once, then ``POST /run {"value": {...},
activation_id, ...}``. The function's code runs in this process, in its main thread.
"""

from __future__ import annotations

import base64
import ctypes
import hmac
import importlib.util
import io
import json
import os
import signal
import socket
import sys
import traceback
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType
from typing import Any

END_OF_ACTIVATION = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
MOST_UNPACKED_BYTES, MOST_ENTRIES = 512 << 20, 20_000  # of a function's zip
MOST_BODY_BYTES = 256 << 20  # of a request: the code comes in one
_BODY_WITHIN_S = 60.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
TOKEN_HEADER = "X-Container-Token"  # noqa: S105 - as in machine.handover, which is not in the image
Answer = tuple[int, Any]


class ActionProxy:
    """One function: loaded by :meth:`init`, called by :meth:`run`."""

    def __init__(self) -> None:
        self._main: Callable[[Any], Any] | None = None

    def init(self, request: dict[str, Any]) -> Answer:
        """Load the function; the answer is an HTTP status and a JSON value."""
        if self._main is not None:
            return 403, {"error": "Cannot initialize the action more than once."}
        value = request.get("value", {})
        if not value.get("code"):
            return 403, {"error": "Missing main/no code to execute."}
        os.environ.update(value.get("env", {}))
        try:
            source = _write_source(value["code"], binary=value.get("binary", False))
        except Exception as error:  # zipfile passes on those of the operating system and of every compression
            print(error, file=sys.stderr)
            return 502, {"error": "The action failed to generate or locate a binary. See logs for details."}
        try:
            self._main = getattr(_load(source), value.get("main") or "main")
        except (Exception, SystemExit):
            traceback.print_exc()
            return 502, {"error": "Cannot start action. Check logs for details."}
        return 200, {"ok": True}

    def run(self, request: dict[str, Any]) -> Answer:
        """Call the function; the answer is an HTTP status and a JSON value."""
        if self._main is None:
            return 500, {"error": "no action defined yet"}
        arguments = request.pop("value", {})
        os.environ.update({f"__OW_{key.upper()}": value for key, value in request.items()})
        try:
            result = self._main(arguments)
        except Exception as error:
            traceback.print_exc()
            return 200, {"error": str(error)}
        except SystemExit:
            traceback.print_exc()
            return 400, {"error": "command exited"}
        if result is not None and not isinstance(result, dict | list):
            return 502, {"error": "The action did not return a dictionary or array."}
        return 200, result


def _write_source(code: str, *, binary: bool) -> Path:
    """Put the code into the working directory and return the file that contains ``main``."""
    folder = Path.cwd()
    if not binary:
        source = folder / "main__.py"
        source.write_text(code, encoding="utf-8")
        return source
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(code))) as archive:
        for name in archive.namelist():
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"zip entry {name!r} lies outside the action's folder")
        entries = archive.infolist()  # no more is written of an entry than the size that it says
        if sum(entry.file_size for entry in entries) > MOST_UNPACKED_BYTES or len(entries) > MOST_ENTRIES:
            raise ValueError(f"the zip unpacks to more than {MOST_UNPACKED_BYTES} bytes or {MOST_ENTRIES} files")
        archive.extractall(folder)
    source = folder / "__main__.py"
    if not source.is_file():
        raise ValueError("Zip file does not include __main__.py")
    return source


def _load(source: Path) -> ModuleType:
    sys.path.insert(0, str(source.parent))  # before everything that is installed: the zip wins
    spec = importlib.util.spec_from_file_location("main__", source)
    assert spec and spec.loader
    module = sys.modules["main__"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection with ``proxy``; a request must carry ``token``, if there is one."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    proxy: ActionProxy
    token = ""

    def do_POST(self) -> None:
        """Initialise or run the function."""
        given = self.headers.get(TOKEN_HEADER, "")
        if self.token and not hmac.compare_digest(given.encode(), self.token.encode()):
            # every user of this machine can reach the port, but only our server may use it
            self.close_connection = True  # the body is left unread
            self.send_error(403)
            return
        handler = {"/init": self.proxy.init, "/run": self.proxy.run}.get(self.path)
        request = self._request()
        if isinstance(request, tuple):
            self.close_connection = True  # what is left of it is no request
            status, answer = request
        else:
            status, answer = handler(request) if handler else (404, {"error": "not found"})
        try:
            data = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError):
            traceback.print_exc()
            status, data = 502, b'{"error": "The action did not return a dictionary or array."}'
        if handler == self.proxy.run or status != 200:
            _end_logs()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _request(self) -> dict[str, Any] | Answer:
        """Return the request's JSON object, or the answer to a body that is none."""
        length = self.headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            return 400, {"error": "Content-Length is no number of bytes"}
        if len(length) > 12 or int(length) > MOST_BODY_BYTES:
            return 413, {"error": f"the body is larger than {MOST_BODY_BYTES} bytes"}
        try:
            self.connection.settimeout(_BODY_WITHIN_S)
            value = json.loads(self.rfile.read(int(length)))
        except TimeoutError:
            return 408, {"error": "the body stops before it is whole"}
        except (ValueError, RecursionError, OSError):
            value = None
        finally:
            self.connection.settimeout(None)
        if isinstance(value, dict) and isinstance(value.get("value", {}), dict):
            return value
        return 400, {"error": "the body is no JSON object with an object as its value"}

    def log_message(self, *_: object) -> None:
        """Keep requests out of the function's logs."""


def _end_logs() -> None:
    for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
            os.write(fd, f"{END_OF_ACTIVATION}\n".encode())
        except (OSError, ValueError):  # the function has closed it
            continue


def _die_with(server_pid: int) -> None:
    """Let the kernel end this process with the server's, even when that is killed or this one is stopped."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # machine.tether is not beside this file in an image
    if os.getppid() != server_pid:
        sys.exit("the server that started this container has ended")


def main() -> None:
    """Serve the connections of an inherited listening socket, one after the other."""
    listening_fd, server_pid = (int(argument) for argument in sys.argv[1:])
    _die_with(server_pid)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a killed function's lines are kept
    Handler.proxy = ActionProxy()
    Handler.token = sys.stdin.read()
    if not Handler.token:
        sys.exit("this container was given no token on its standard input")
    listener = socket.socket(fileno=listening_fd)
    listener.set_inheritable(False)
    while True:
        connection, address = listener.accept()
        with connection:
            Handler(connection, address, None)  # type: ignore[arg-type]  # it needs no server


if __name__ == "__main__":
    main()
