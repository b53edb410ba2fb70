"""OpenWhisk's REST API: the routes, who may use them, and how errors look."""

from __future__ import annotations

import base64
import hmac
import logging
import re
import secrets

from aiohttp import web

from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.api.actions import action_routes
from serverless.emulator.openwhisk.api.activations import activation_routes
from serverless.emulator.openwhisk.api.common import CONTROLLER, TRANSACTION_ID, is_own
from serverless.emulator.openwhisk.api.info import PUBLIC, ROOT, info_routes
from serverless.emulator.openwhisk.api.packages import is_list_of_packages, package_routes
from serverless.emulator.openwhisk.controller import Controller
from serverless.emulator.openwhisk.invoker import Invoker
from serverless.emulator.rest import ApiError, Handler, reply
from serverless.emulator.settings import MIB
from serverless.emulator.shared import Shared

log = logging.getLogger(__name__)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT, HEAD",
}
_TRANSACTION_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_MESSAGE_OF_STATUS = {404: messages.NO_ROUTE, 413: "Request Entity Too Large"}


def openwhisk_api(shared: Shared, address: str) -> web.Application:
    """Return the application; it serves what ``docs/emulator.md`` lists."""
    settings = shared.settings
    controller = Controller(settings, Invoker(shared.pool), shared.auth)
    app = web.Application(
        middlewares=[_envelope, _authenticate],
        # Base64 code in JSON, with room for the rest of an action; payloads have their own limit.
        client_max_size=max(settings.max_code_bytes, settings.max_payload_bytes) + 4 * MIB,
    )
    app[CONTROLLER] = controller
    namespace = f"{ROOT}/namespaces/{{namespace}}"
    app.add_routes(info_routes())
    app.add_routes(package_routes(f"{namespace}/packages"))
    app.add_routes(action_routes(f"{namespace}/actions"))
    app.add_routes(activation_routes(f"{namespace}/activations"))
    return app


@web.middleware
async def _envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every request its transaction id, and every error OpenWhisk's body."""
    given = request.headers.get("X-Request-ID", "")
    transaction_id = given if _TRANSACTION_ID.fullmatch(given) else secrets.token_hex(16)
    request[TRANSACTION_ID] = transaction_id
    try:
        response = await handler(request)
    except ApiError as error:
        response = _error(error.status, error.message, transaction_id)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = _error(405, f"HTTP method not allowed, supported methods: {allowed}", transaction_id)
    except web.HTTPException as error:
        message = _MESSAGE_OF_STATUS.get(error.status, error.reason)
        response = _error(error.status, message, transaction_id)
    except ConnectionError:  # the client is gone, nobody waits for an answer
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        response = _error(500, messages.INTERNAL, transaction_id)
    response.headers["X-Request-ID"] = transaction_id
    if request.path.startswith(ROOT):
        response.headers.update(_CORS)
    return response


@web.middleware
async def _authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests without the key, and those for another namespace than the only one."""
    if request.path in PUBLIC:
        return await handler(request)
    if request.method == "OPTIONS":  # a browser asks, without the key, whether it may ask
        return web.Response(text="OK")
    header = request.headers.get("Authorization", "")
    if not header.startswith("Basic "):
        return _unauthorized(messages.NO_CREDENTIALS, request)
    try:
        given = base64.b64decode(header.removeprefix("Basic "))
    except ValueError:  # no base64, or no ASCII
        return _unauthorized(messages.BAD_CREDENTIALS, request)
    if not hmac.compare_digest(given, request.app[CONTROLLER].auth.encode()):
        return _unauthorized(messages.BAD_CREDENTIALS, request)
    if not is_own(request) and not is_list_of_packages(request):
        path = "/".join(filter(None, map(request.match_info.get, ("namespace", "package", "name"))))
        raise ApiError(403, messages.not_authorized(path))
    return await handler(request)


def _unauthorized(message: str, request: web.Request) -> web.Response:
    challenge = {"WWW-Authenticate": 'Basic realm="OpenWhisk secure realm",charset=UTF-8'}
    return reply({"error": message, "code": request[TRANSACTION_ID]}, 401, challenge)


def _error(status: int, message: str, transaction_id: str) -> web.Response:
    return reply({"error": message, "code": transaction_id}, status)
