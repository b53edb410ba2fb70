"""Requests that come in: chunked bodies, and whole requests to the APIs of the embedded server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import tempfile
from collections.abc import Iterator
from http.client import HTTPException, parse_headers
from pathlib import Path
from types import SimpleNamespace

import aiohttp
from aiohttp import web

from machine.http_chunks import read_body
from serverless.emulator.containers.pool import PoolClosedError
from serverless.emulator.google.api import FUNCTIONS
from serverless.emulator.platform_apis import APIS
from serverless.emulator.settings import EmulatorSettings
from serverless.emulator.shared import Shared
from tests.fuzz.formats import memory, zipped
from tests.fuzz.target import Target

KEY = "uuid:key"
RIGHT = {"openwhisk": "Basic " + base64.b64encode(KEY.encode()).decode(), "google": f"Bearer {KEY}"}
IMAGE, CODE = 64 * "a", zipped("main.py")
RIGHT["openfaas"] = RIGHT["openwhisk"]
_TURNS = 30  # of the event loop, after which a request that has not arrived whole is given up
_QUIET = logging.Logger("of requests that are none")
_QUIET.addHandler(logging.NullHandler())
_LOOP = asyncio.new_event_loop()


def read_chunks(data: bytes) -> None:
    """Headers and then a body: no more bytes come out than went in."""
    stream = io.BytesIO(data)
    headers = parse_headers(stream)
    assert sum(map(len, read_body(headers, stream))) <= len(data)


class _Wire(asyncio.Transport):
    """A connection in memory."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.sent = b""
        self._closing = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.sent += b"".join(pieces)

    def close(self) -> None:
        self._closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None: ...

    resume_reading = pause_reading


class _NoPool:
    """Where no container is to be had."""

    async def acquire(self, _: object) -> None:
        raise PoolClosedError


def _unreachable(*_: object, **__: object) -> None:
    raise aiohttp.ClientError


async def _talk(platform: str, data: bytes, folder: Path) -> bytes:
    """Send bytes to a new server of one platform, and return what it says; at last the connection is cut."""
    shared = Shared(EmulatorSettings(), KEY, _NoPool(), SimpleNamespace(post=_unreachable), folder)
    app = APIS[platform](shared, "http://server")
    if platform == "google":
        app[FUNCTIONS]._sources["o"] = CODE
    (folder / "openfaas-images" / IMAGE).mkdir(parents=True)
    runner = web.AppRunner(app, access_log=None, logger=_QUIET)
    await runner.setup()
    protocol, wire = runner.server(), _Wire()
    protocol.connection_made(wire)
    protocol.data_received(data)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    await runner.cleanup()
    return wire.sent


def answer(platform: str, data: bytes) -> bytes:
    """Return what a new server of one platform says to these bytes; ``RIGHT`` in them stands for its credentials."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        return _LOOP.run_until_complete(_talk(platform, data.replace(b"RIGHT", RIGHT[platform].encode()), Path(folder)))


def request(platform: str, data: bytes) -> None:
    """Whatever arrives, no answer says that the server itself failed."""
    said = answer(platform, data)
    assert b"HTTP/1.1 500" not in said or b"already exists" in said, said[:2000]


def _chunks() -> Iterator[bytes]:
    yield b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    yield b"Content-Length: 5\r\n\r\nhello"
    yield b"\r\n"


def _request(line: str, body: object = None) -> bytes:
    head = f"{line} HTTP/1.1\r\nHost: h\r\nAuthorization: RIGHT\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "application/zip" if isinstance(body, bytes) else "application/json"
    return (
        f"{head}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n{len(data):x}\r\n".encode()
        + data
        + b"\r\n0\r\n\r\n"
    )


def _openwhisk() -> Iterator[bytes]:
    limits = {"memory": 256, "timeout": 60000, "logs": 10, "concurrency": 1}
    exec_ = {"kind": "python:3", "code": "def main(a): return a", "main": "main"}
    notes = [{"key": "k", "value": 1, "init": True}]
    action = {"exec": exec_, "limits": limits, "parameters": notes, "annotations": notes, "version": "0.0.2"}
    yield _request("PUT /api/v1/namespaces/_/actions/a?overwrite=true", action)
    yield _request("PUT /api/v1/namespaces/_/packages/p", {"binding": {"namespace": "_", "name": "q"}, "publish": True})
    yield _request("POST /api/v1/namespaces/_/actions/p/a?blocking=true&result=1&timeout=9", {"a": 1})
    yield _request("GET /api/v1/namespaces/_/activations?limit=3&skip=1&since=5&docs=true&count=false")


def _openfaas() -> Iterator[bytes]:
    body = {"service": "f", "image": "embedded/" + IMAGE, "labels": {"com.openfaas.scale.max": "3"}}
    body |= {"envVars": {"exec_timeout": "1m30s"}, "limits": {"memory": "256Mi"}, "envProcess": "python"}
    yield _request("POST /system/functions", body)
    yield _request("PUT /system/functions", body)
    yield _request("DELETE /system/functions", {"functionName": "f", "namespace": "openfaas-fn"})
    yield _request("GET /system/function/f?namespace=openfaas-fn")
    yield _request("POST /function/f/path?a=b", {"a": 1})
    yield _request("POST /async-function/f", {"a": 1}).replace(b"Host", b"X-Callback-Url: http://h/\r\nHost")
    yield _request("PUT /embedded/images/" + IMAGE, b"PK\x03\x04")


def _google() -> Iterator[bytes]:
    root = "/v2/projects/p/locations/l"
    source = {"storageSource": {"bucket": "embedded-sources", "object": "o.zip"}}
    config = {
        "timeoutSeconds": 60,
        "availableMemory": "256M",
        "maxInstanceCount": 3,
        "environmentVariables": {"A": "b"},
    }
    body = {"buildConfig": {"source": source, "entryPoint": "main"}, "serviceConfig": config}
    create = _request(f"POST {root}/functions?functionId=name", body)
    yield create
    yield create + _request(f"PATCH {root}/functions/name?updateMask=serviceConfig.timeoutSeconds", body)
    yield create + _request(f"DELETE {root}/functions/name") + _request(f"GET {root}/operations/operation-2")
    yield _request(f"GET {root}/functions?pageSize=3&pageToken=1")
    yield _request(f"GET {root}/operations/o")
    yield _request(f"POST {root}/functions:generateUploadUrl", {})
    yield _request("PUT /upload/token", b"PK\x03\x04")
    yield _request("POST /run/projects/p/locations/l/functions/name", {"a": 1})


HTTP = (
    "\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "%00",
    "%ff",
    "?",
    "&",
    "null",
    "1e999",
    "[]",
    "{}",
    '"',
)
BODIES = {
    "chunks": Target(read_chunks, (ValueError, HTTPException), _chunks, (*HTTP[1:3], "-1\r\n", "ffffffff\r\n")),
    "openwhisk-requests": Target(lambda data: request("openwhisk", data), (), _openwhisk, HTTP),
    "openfaas-requests": Target(lambda data: request("openfaas", data), (), _openfaas, HTTP),
    "google-requests": Target(lambda data: request("google", data), (), _google, HTTP),
}
