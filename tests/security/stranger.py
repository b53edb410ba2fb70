"""Another user of the machine: ``python stranger.py UID`` tries everything that it is told of, and tells what it got.

It reads a JSON object a line (``ports``, ``sockets``, ``files``, ``folders``) and answers each with a list of texts.
It knows every address and path of the run, which is more than a stranger has to know.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - Python looks for it when a socket is opened
import json
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

_PATIENCE_S = 1.0
_REQUESTS = (
    "GET /health",
    "GET /system/functions",
    "POST /function/client",
    "POST /async-function/client",
    "POST /api/v1/namespaces/_/actions/client?blocking=true",
    "GET /api/v1/namespaces/_/activations",
    "GET /v2/projects/embedded/locations/local/functions",
    "POST /run/projects/embedded/locations/local/functions/client",
    "POST /init",
    "POST /run",
    "POST /",
    "GET /api/cluster_status",
    "POST /api/jobs/",
)
_CALLS = (
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.NodeManagerService/GetNodeStats",
)


def become(uid: int) -> None:
    """Give up everything but this user's rights, for good."""
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def tried(told: dict[str, Any]) -> Iterator[str]:
    """Yield what could be read, written, reached or called."""
    for name in told["files"]:
        yield from (f"opened {name} ({flags})" for flags in (os.O_RDONLY, os.O_WRONLY) if _opens(name, flags))
    for name in told["folders"]:
        with suppress(OSError):
            yield f"listed {name}: {len(list(Path(name).iterdir()))}"
        with suppress(OSError):
            draft = Path(name, "of-a-stranger")
            draft.touch(exist_ok=False)
            draft.unlink()
            yield f"wrote into {name}"
    for name in told["sockets"]:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as end:
            end.connect(name)
            yield f"reached {name}"
    for port in told["ports"]:
        yield from _asked(port)


def _opens(name: str, flags: int) -> bool:
    """Whether a file opens; of /proc also whether it has anything to read, which a process that has ended has not."""
    with suppress(OSError):
        descriptor = os.open(name, flags | os.O_NONBLOCK)
        try:
            return not name.startswith("/proc/") or flags != os.O_RDONLY or os.read(descriptor, 1) != b""
        finally:
            os.close(descriptor)
    return False


def _asked(port: int) -> Iterator[str]:
    """Yield the requests that a port answers with anything but a refusal, in clear and by TLS, and calls of Ray's."""
    for is_secure in (False, True):
        for request in _REQUESTS:
            status = _status(port, request, is_secure)
            if status is None:
                break  # it hangs up, or does not speak this: the other requests would end in the same way
            if status < 400:
                yield f"{request} of port {port}: {status}"
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in _CALLS:
            with suppress(grpc.RpcError):
                answer = channel.unary_unary(method)(b"", timeout=_PATIENCE_S)
                yield f"{method} of port {port}: {len(answer)} bytes"


def _status(port: int, request: str, is_secure: bool) -> int | None:
    """Return the status of the answer, ``None`` if none comes."""
    body = "{}" if request.startswith("POST") else ""
    head = f"{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as plain:
            end = _TRUSTING.wrap_socket(plain) if is_secure else plain
            end.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            words = end.recv(1 << 16).split()
            return int(words[1]) if words and words[0].startswith(b"HTTP/1") else None
    except (OSError, ValueError, IndexError):
        return None


_TRUSTING = ssl.create_default_context()
_TRUSTING.check_hostname, _TRUSTING.verify_mode = False, ssl.CERT_NONE

if __name__ == "__main__":
    tuple(_asked(1))  # what Python and grpc import on the way, while it can be read
    become(int(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(list(tried(json.loads(line)))), flush=True)
