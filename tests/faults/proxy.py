"""A proxy that fails as it is told: in front of the platform, and in front of the object store.

It forwards requests byte for byte, the ``Host`` header too, which S3's signatures cover.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp import web
from yarl import URL

from machine.loopback import reserved_port
from tests.faults.plan import Fault, Schedule, Step

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}
_BLOCKING = "blocking=true"


@dataclass(frozen=True)
class Happened:
    """A fault that was made to happen."""

    at: float
    label: str


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class FaultProxy:
    """Forwards ``port`` to ``upstream``; see :func:`faulty`.

    Parameters
    ----------
    port
        Where it listens, on loopback; the same after an outage.
    happened
        The faults so far, in the order of their requests.
    verbs
        How many requests reached the proxy, by verb.
    """

    upstream: str
    port: int
    happened: list[Happened] = field(default_factory=list)
    verbs: Counter[str] = field(default_factory=Counter)
    _schedule: Schedule = field(default_factory=Schedule)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _back: asyncio.Task[None] | None = None
    _busy: set[asyncio.BaseTransport | None] = field(default_factory=set)
    partner: FaultProxy | None = None

    @property
    def endpoint(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    def plan(self, *steps: Step) -> None:
        """Begin a new schedule; what happened before is forgotten."""
        self._schedule = Schedule(steps)
        self.happened.clear()
        self.verbs.clear()

    # --- in the proxy's own thread

    async def start(self) -> None:
        """Listen."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=5)
        self._http = aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout())
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()

    async def stop(self) -> None:
        """Close everything."""
        if self._back:
            self._back.cancel()
        await self._runner.cleanup()
        await self._http.close()

    async def _listen(self) -> None:
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.verbs[request.method] += 1
        fault = self._schedule.next(request.method, request.raw_path)
        if fault:
            self.happened.append(Happened(time.time(), fault.label))
        transport = request.transport
        self._busy.add(transport)
        try:
            body = await request.read()
            if fault is None:
                return _whole(request, await self._forward(request, body))
            return await getattr(self, f"_{fault.kind}")(request, body, fault)
        finally:
            self._busy.discard(transport)

    async def _forward(self, request: web.Request, body: bytes, path: str = "") -> _Answer:
        url = URL(self.upstream + (path or request.raw_path), encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        try:
            async with self._http.request(
                request.method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
                if request.method == "HEAD" and "content-length" in answer.headers:
                    kept["content-length"] = answer.headers["content-length"]
                return _Answer(answer.status, kept, await answer.read())
        except aiohttp.ClientError:
            _reset(request)

    async def _status(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        if fault.after:
            await self._forward(request, body)
        kind = "application/json" if fault.body.startswith("{") else "application/xml"
        return web.Response(status=fault.status, text=fault.body, content_type=kind)

    async def _drop(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        if fault.after:
            await self._forward(request, body)
        _reset(request)

    async def _hang(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        if fault.after:
            await self._forward(request, body)
        while request.transport and not request.transport.is_closing():
            await asyncio.sleep(0.05)
        _reset(request)

    async def _slow(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        await asyncio.sleep(fault.seconds)
        return _whole(request, await self._forward(request, body))

    async def _accept(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        path = request.raw_path.replace(_BLOCKING, "blocking=false")
        return _whole(request, await self._forward(request, body, path))

    async def _refuse(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        answer = await self._forward(request, body)
        await self._close(fault.seconds, spared=set(self._busy))
        return _whole(request, replace(answer, headers=answer.headers | {"Connection": "close"}))

    async def _gone(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        await self._close(fault.seconds, spared=set())
        _reset(request)

    async def _partner(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        assert self.partner
        closing = self.partner._close(fault.seconds, spared=set())
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(closing, self.partner._loop))
        return _whole(request, await self._forward(request, body))

    async def _close(self, seconds: float, spared: set[asyncio.BaseTransport | None]) -> None:
        """Close the port and all connections but the ``spared`` ones; come back later."""
        for site in list(self._runner.sites):
            await site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport and connection.transport not in spared:
                connection.transport.abort()
        self._back = asyncio.create_task(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _truncate(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        if fault.side == "request":
            return _whole(request, await self._forward(request, body[: len(body) // 2]))
        answer = await self._forward(request, body)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
        await response.write_eof() if not answer.body else None
        if request.transport:
            request.transport.close()  # what was written is sent first
        return response

    async def _corrupt(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        if fault.side == "request":
            return _whole(request, await self._forward(request, _flipped(body)))
        answer = await self._forward(request, body)
        return _whole(request, replace(answer, body=_flipped(answer.body)))


def _flipped(data: bytes) -> bytes:
    """Change the last byte but one: of weights that is a value, and the length stays."""
    return data[:-2] + bytes([data[-2] ^ 0x40]) + data[-1:] if len(data) > 1 else data


def _whole(request: web.Request, answer: _Answer) -> web.Response:
    body = None if request.method == "HEAD" else answer.body
    return web.Response(status=answer.status, headers=answer.headers, body=body)


def _reset(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()
    raise asyncio.CancelledError  # nobody is left to answer


@contextmanager
def faulty(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy in a thread of its own, for the time of the context.

    Parameters
    ----------
    upstream
        Such as ``http://127.0.0.1:9000``.
    """
    proxy = FaultProxy(upstream, reserved_port())
    thread = threading.Thread(target=proxy._loop.run_forever, name="fault-proxy", daemon=True)
    thread.start()

    def do(work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, proxy._loop).result(30)  # type: ignore[arg-type]

    do(proxy.start())
    try:
        yield proxy
    finally:
        do(proxy.stop())
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        thread.join()
        proxy._loop.close()
