"""The API of the embedded Google Cloud Functions: a part of the v2 REST API, and the functions' URLs.

Source of paths and fields: googleapis/googleapis, ``google/cloud/functions/v2/functions.proto`` (commit 3597f7d), in
proto3's JSON; of the front end's answers: Cloud Run's documentation (troubleshooting, container contract).
"""

from __future__ import annotations

import hmac
from typing import Any

from aiohttp import web

from machine.json_values import read_json
from serverless.emulator.front import refuse_what_pages_send
from serverless.emulator.google.functions import Functions, GoogleError
from serverless.emulator.rest import Handler, forwarded, received, reply, whole
from serverless.emulator.settings import MIB
from serverless.emulator.shared import Shared

FUNCTIONS = web.AppKey("functions", Functions)
AUTH = web.AppKey("auth", str)
_PARENT = "/v2/{parent:projects/[^/]+/locations/[^/]+}"
_PAGE = 1000  # the largest page_size
_FORBIDDEN = (
    "<html><head><title>403 Forbidden</title></head><body><h1>Error: Forbidden</h1>"
    "<h2>Your client does not have permission to get URL <code>/</code> from this server.</h2></body></html>"
)


def google_api(shared: Shared, address: str) -> web.Application:
    """Return the application; ``docs/platforms.md`` lists what it serves.

    The server's key is what a bearer token has to be: of the API, and as a function's identity token.
    """
    largest = shared.settings.max_code_bytes + 4 * MIB
    app = web.Application(middlewares=[refuse_what_pages_send, _errors, _authenticate], client_max_size=largest)
    app[FUNCTIONS] = Functions(shared.settings, shared.pool, shared.directory / "google-sources", address)
    app[AUTH] = shared.auth
    app.router.add_post(_PARENT + "/functions:generateUploadUrl", _upload_url)
    app.router.add_put("/upload/{token}", _upload)
    app.router.add_get(_PARENT + "/functions", _list)
    app.router.add_post(_PARENT + "/functions", _create)
    app.router.add_get(_PARENT + "/functions/{id}", _get)
    app.router.add_patch(_PARENT + "/functions/{id}", _patch)
    app.router.add_delete(_PARENT + "/functions/{id}", _delete)
    app.router.add_get(_PARENT + "/operations/{id}", _operation)
    app.router.add_route("*", "/run/{name:projects/[^/]+/locations/[^/]+/functions/[^/]+}", _invoke)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except GoogleError as error:
        return _error(error.http_status, error.status, error.message)


@web.middleware
async def _authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the bearer token of the API and of the functions; the URL of an upload contains its own."""
    if request.path.startswith("/upload/"):
        return await handler(request)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    right = scheme == "Bearer" and hmac.compare_digest(
        given.encode(errors="surrogateescape"), request.app[AUTH].encode()
    )
    if not right and request.path.startswith("/run/"):
        return web.Response(status=401 if given else 403, text=_FORBIDDEN, content_type="text/html")
    if not right:
        return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    return await handler(request)


def _error(code: int, status: str, message: str) -> web.Response:
    return reply({"error": {"code": code, "message": message, "status": status}}, code)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        value = read_json(await received(request))
    except ValueError as error:
        raise GoogleError("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
    if not isinstance(value, dict):
        raise GoogleError("INVALID_ARGUMENT", "Invalid JSON payload received. Root element must be a message.")
    return value


def _name(request: web.Request) -> str:
    return f"{request.match_info['parent']}/functions/{request.match_info['id']}"


async def _upload_url(request: web.Request) -> web.Response:
    return reply(request.app[FUNCTIONS].new_upload())


async def _upload(request: web.Request) -> web.Response:
    """Take a source; the signature covers the content type, and credentials beside it are refused."""
    as_signed = request.content_type == "application/zip" and "Authorization" not in request.headers
    functions, token = request.app[FUNCTIONS], request.match_info["token"]
    if not as_signed or not functions.may_upload(token):
        return web.Response(status=403)  # the body is left unread
    functions.upload(token, await received(request))
    return web.Response()


async def _create(request: web.Request) -> web.Response:
    body, function_id = await _body(request), request.query.get("functionId", "")
    return reply(request.app[FUNCTIONS].create(request.match_info["parent"], function_id, body))


async def _patch(request: web.Request) -> web.Response:
    body, mask = await _body(request), request.query.get("updateMask", "")
    return reply(request.app[FUNCTIONS].patch(_name(request), body, mask))


async def _delete(request: web.Request) -> web.Response:
    return reply(request.app[FUNCTIONS].delete(_name(request)))


async def _get(request: web.Request) -> web.Response:
    return reply(request.app[FUNCTIONS].get(_name(request)))


async def _list(request: web.Request) -> web.Response:
    functions = request.app[FUNCTIONS].list(request.match_info["parent"])
    size, start = request.query.get("pageSize", ""), request.query.get("pageToken", "0")
    first = whole(start)
    if first is None:
        raise GoogleError("INVALID_ARGUMENT", "The page token is invalid.")
    end = first + min(whole(size) or _PAGE, _PAGE)
    page = {"functions": functions[first:end]}
    return reply(page | ({"nextPageToken": str(end)} if end < len(functions) else {}))


async def _operation(request: web.Request) -> web.Response:
    name = f"{request.match_info['parent']}/operations/{request.match_info['id']}"
    operations = request.app[FUNCTIONS].operations
    if name not in operations:
        raise GoogleError("NOT_FOUND", f"Operation '{name}' was not found")
    return reply(operations[name])


async def _invoke(request: web.Request) -> web.Response:
    sent = await forwarded(request, "/", request.headers)
    answer = await request.app[FUNCTIONS].invoke(request.match_info["name"], sent)
    if answer is None:
        return web.Response(status=404, text="<html><title>404 Page not found</title></html>", content_type="text/html")
    told = {"X-Cloud-Trace-Context": request.headers.get("X-Cloud-Trace-Context", "")}
    return web.Response(status=answer.status, headers={**answer.headers, **told}, body=answer.body)
