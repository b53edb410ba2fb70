"""What the REST APIs of the platforms share: refusals, JSON answers, and requests that are sent on into containers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from serverless.emulator.containers.http_container import Request

_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
BODY_WITHIN_S = 60.0  # from a request's head to the end of its body
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """A refusal: ends a request with ``status``, and ``message`` in the words of the platform."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def whole(text: str) -> int | None:
    """Return a number that is written in digits alone, at most 15 of them; ``None`` for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None


def reply(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return ``value`` as compact JSON."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


async def received(request: web.Request, within_s: float = BODY_WITHIN_S) -> bytes:
    """Return a request's body; one that is too large by what it says of itself is not read.

    Raises
    ------
    aiohttp.web.HTTPException
        408 or 413.
    """
    if (request.content_length or 0) > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, request.content_length or 0)
    try:
        async with asyncio.timeout(within_s):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body is not whole in time") from None


async def forwarded(request: web.Request, path: str, headers: Mapping[str, str]) -> Request:
    """Return what of a request is sent on into a container: its method and body, with this path and these headers."""
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    return Request(request.method, path, headers, await received(request), is_chunked)
