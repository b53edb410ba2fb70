"""The API of the embedded OpenFaaS: the gateway's routes.

Source of paths, codes, headers and words: openfaas/faas (commit 8d803bf), faas-provider (f53fe63), faas-netes (662ce9c)
and nats-queue-worker, read for their behaviour.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from machine.json_values import read_json
from serverless.emulator.containers.http_container import Request
from serverless.emulator.front import refuse_what_pages_send
from serverless.emulator.openfaas.functions import NAMESPACE, Functions
from serverless.emulator.openfaas.queue import CALL_ID, Queue
from serverless.emulator.rest import ApiError, Handler, forwarded, received, reply
from serverless.emulator.settings import MIB
from serverless.emulator.shared import Shared

FUNCTIONS = web.AppKey("functions", Functions)
AUTH = web.AppKey("auth", str)
QUEUE = web.AppKey("queue", Queue)
HEALTH = "/healthz"
_SERVED_BY = "embedded-openfaas"


def openfaas_api(shared: Shared, address: str) -> web.Application:
    """Return the application; ``docs/platforms.md`` lists what it serves."""
    largest = shared.settings.max_code_bytes + 4 * MIB
    app = web.Application(middlewares=[refuse_what_pages_send, _errors, _authenticate], client_max_size=largest)
    functions = Functions(shared.settings, shared.pool, shared.directory / "openfaas-images")
    app[FUNCTIONS], app[AUTH], app[QUEUE] = functions, shared.auth, Queue(functions, shared.http)
    app.on_cleanup.append(lambda app: app[QUEUE].end())
    app.router.add_get(HEALTH, _health)
    app.router.add_get("/system/info", _info)
    app.router.add_get("/system/functions", _list)
    app.router.add_post("/system/functions", _deploy)
    app.router.add_put("/system/functions", _deploy)
    app.router.add_delete("/system/functions", _delete)
    app.router.add_get("/system/function/{name}", _status)
    app.router.add_put("/embedded/images/{digest:[0-9a-f]{64}}", _push)
    for path in ("/function/{name}", "/function/{name}/{rest:.*}"):
        app.router.add_route("*", path, _invoke)
    for path in ("/async-function/{name}", "/async-function/{name}/{rest:.*}"):
        app.router.add_post(path, _queue)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.Response(status=error.status, text=error.message)


@web.middleware
async def _authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Ask for the key, also for functions: a gateway in a cluster may leave that to its ingress, here there is none."""
    if request.path != HEALTH:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        expected = base64.b64encode(request.app[AUTH].encode())
        if scheme != "Basic" or not hmac.compare_digest(given.encode(errors="surrogateescape"), expected):
            headers = {"WWW-Authenticate": 'Basic realm="Restricted"'}
            return web.Response(status=401, text="invalid credentials", headers=headers)
    return await handler(request)


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def _info(_: web.Request) -> web.Response:
    version = {"sha": "", "release": "embedded"}
    provider = {"provider": "embedded", "orchestration": "processes", "version": version}
    return reply({"provider": provider, "version": version, "arch": "x86_64"})


async def _list(request: web.Request) -> web.Response:
    _namespace(request)
    return reply(request.app[FUNCTIONS].statuses())


async def _status(request: web.Request) -> web.Response:
    _namespace(request)
    return reply(request.app[FUNCTIONS].status(request.match_info["name"]))


async def _deploy(request: web.Request) -> web.Response:
    """Create a function (POST), or replace it (PUT)."""
    request.app[FUNCTIONS].deploy(await _body(request), update=request.method == "PUT")
    return web.Response(status=202)


async def _delete(request: web.Request) -> web.Response:
    name = (await _body(request)).get("functionName")
    if not isinstance(name, str) or not name:
        raise ApiError(400, "")
    request.app[FUNCTIONS].delete(name)
    return web.Response(status=202)


async def _push(request: web.Request) -> web.Response:
    """Take an image's code: it stands for a registry and is no part of OpenFaaS's API."""
    digest, code = request.match_info["digest"], await received(request)
    if hashlib.sha256(code).hexdigest() != digest:
        raise ApiError(400, "the code's SHA-256 is another one")
    request.app[FUNCTIONS].add_image(digest, code)
    return web.Response(status=201)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        value = read_json(await received(request))
    except ValueError as error:
        raise ApiError(400, f"failed to unmarshal request: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "failed to unmarshal request: an object is expected")
    if value.get("namespace") not in (None, "", NAMESPACE):
        raise ApiError(400, f"namespace must be: {NAMESPACE}")
    return value


def _namespace(request: web.Request) -> None:
    if request.query.get("namespace", NAMESPACE) not in ("", NAMESPACE):
        raise ApiError(400, f"namespace must be: {NAMESPACE}")


def _called(request: web.Request) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers that the gateway adds for the function, and those for the caller."""
    start = str(time.time_ns())
    told = {"X-Start-Time": start, "X-Served-By": _SERVED_BY}
    if CALL_ID in request.headers:  # a caller's own is passed on, and not repeated to it
        return {"X-Start-Time": start}, told
    call_id = str(uuid.uuid4())
    return {CALL_ID: call_id, "X-Start-Time": start}, told | {CALL_ID: call_id}


async def _forwarded(request: web.Request, added: dict[str, str]) -> Request:
    path = f"/{request.match_info.get('rest', '')}"
    query = f"?{request.query_string}" if request.query_string else ""
    return await forwarded(request, path + query, {**request.headers, **added})


async def _invoke(request: web.Request) -> web.Response:
    added, told = _called(request)
    answer = await request.app[FUNCTIONS].invoke(request.match_info["name"], await _forwarded(request, added))
    return web.Response(status=answer.status, headers={**told, **answer.headers}, body=answer.body)


async def _queue(request: web.Request) -> web.Response:
    """Accept a request, whether there is such a function or not, and give it to a worker."""
    callback = request.headers.get("X-Callback-Url", "")
    if callback and urlsplit(callback).scheme not in ("http", "https"):
        raise ApiError(400, f"parse {callback!r}: no URL to call back")
    added, told = _called(request)
    request.app[QUEUE].accept(request.match_info["name"], await _forwarded(request, added), callback)
    return web.Response(status=202, headers=told)
