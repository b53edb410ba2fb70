"""OpenWhisk's REST API: the routes, who may use them, and how errors look."""

from __future__ import annotations

import base64
import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from serverless.emulator import messages
from serverless.emulator.action import NAMESPACE
from serverless.emulator.api_actions import action_routes
from serverless.emulator.api_activations import activation_routes
from serverless.emulator.api_common import CONTROLLER, TRANSACTION_ID, reply
from serverless.emulator.controller import Controller
from serverless.emulator.errors import ApiError
from serverless.emulator.settings import MIB, EmulatorSettings

log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ROOT = "/api/v1"
_PUBLIC = frozenset({"/", "/ping", _ROOT, f"{_ROOT}/"})
_TRANSACTION_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_MESSAGE_OF_STATUS = {404: messages.NO_ROUTE, 413: "Request Entity Too Large"}


def make_app(controller: Controller) -> web.Application:
    """Return the application; it serves what ``docs/emulator.md`` lists."""
    settings = controller.settings
    app = web.Application(
        middlewares=[_envelope, _authenticate],
        # Base64 code in JSON, with room for the rest of an action; payloads have their own limit.
        client_max_size=max(settings.max_code_bytes, settings.max_payload_bytes) + 4 * MIB,
    )
    app[CONTROLLER] = controller
    app.router.add_get("/ping", _ping)
    app.router.add_get("/", _root)
    for path in (_ROOT, f"{_ROOT}/"):
        app.router.add_get(path, _api_root)
    app.router.add_get(f"{_ROOT}/namespaces", _namespaces)
    namespace = f"{_ROOT}/namespaces/{{namespace}}"
    app.router.add_get(f"{namespace}/limits", _limits)
    app.add_routes(action_routes(f"{namespace}/actions"))
    app.add_routes(activation_routes(f"{namespace}/activations"))
    return app


@web.middleware
async def _envelope(request: web.Request, handler: _Handler) -> web.StreamResponse:
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
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        response = _error(500, messages.INTERNAL, transaction_id)
    response.headers["X-Request-ID"] = transaction_id
    return response


@web.middleware
async def _authenticate(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Let in who has the key, to the one namespace there is."""
    if request.path in _PUBLIC:
        return await handler(request)
    header = request.headers.get("Authorization", "")
    if not header.startswith("Basic "):
        return _unauthorized(messages.NO_CREDENTIALS, request)
    try:
        given = base64.b64decode(header.removeprefix("Basic "))
    except ValueError:  # no base64, or no ASCII
        return _unauthorized(messages.BAD_CREDENTIALS, request)
    if not hmac.compare_digest(given, request.app[CONTROLLER].auth.encode()):
        return _unauthorized(messages.BAD_CREDENTIALS, request)
    if request.match_info.get("namespace", NAMESPACE) not in ("_", NAMESPACE):
        path = "/".join(filter(None, map(request.match_info.get, ("namespace", "package", "name"))))
        raise ApiError(403, messages.not_authorized(path))
    return await handler(request)


def _unauthorized(message: str, request: web.Request) -> web.Response:
    challenge = {"WWW-Authenticate": 'Basic realm="OpenWhisk secure realm",charset=UTF-8'}
    return reply({"error": message, "code": request[TRANSACTION_ID]}, 401, challenge)


def _error(status: int, message: str, transaction_id: str) -> web.Response:
    return reply({"error": message, "code": transaction_id}, status)


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="pong")


async def _root(request: web.Request) -> web.Response:
    settings = request.app[CONTROLLER].settings
    return reply({"description": "OpenWhisk", "api_paths": [_ROOT], "limits": _deployment_limits(settings)})


async def _api_root(_: web.Request) -> web.Response:
    return reply(
        {
            "description": "OpenWhisk API",
            "api_version": "1.0.0",
            "api_version_path": "v1",
            "build": "embedded",
            "buildno": "embedded",
            "swagger_paths": {"ui": "/docs", "api-docs": "/api-docs"},
        }
    )


async def _namespaces(_: web.Request) -> web.Response:
    return reply([NAMESPACE])


async def _limits(request: web.Request) -> web.Response:
    settings = request.app[CONTROLLER].settings
    return reply(
        {
            "invocationsPerMinute": settings.invocations_per_minute,
            "concurrentInvocations": settings.concurrent_invocations,
            "firesPerMinute": settings.invocations_per_minute,
            "minActionMemory": settings.memory_min_mb,
            "maxActionMemory": settings.memory_max_mb,
            "minActionLogs": 0,
            "maxActionLogs": settings.logs_max_mb,
            "minActionTimeout": settings.timeout_min_ms,
            "maxActionTimeout": settings.timeout_max_ms,
            "minActionConcurrency": 1,
            "maxActionConcurrency": 1,
            "maxParameterSize": f"{settings.max_parameters_bytes} B",
            "maxActionInstances": settings.concurrent_invocations,
        }
    )


def _deployment_limits(settings: EmulatorSettings) -> dict[str, Any]:
    limits = {
        "actions_per_minute": settings.invocations_per_minute,
        "triggers_per_minute": settings.invocations_per_minute,
        "concurrent_actions": settings.concurrent_invocations,
        "sequence_length": 50,
    }
    for prefix in ("", "default_"):
        limits |= {
            f"{prefix}min_action_duration": settings.timeout_min_ms,
            f"{prefix}max_action_duration": settings.timeout_max_ms,
            f"{prefix}min_action_memory": settings.memory_min_mb * MIB,
            f"{prefix}max_action_memory": settings.memory_max_mb * MIB,
            f"{prefix}min_action_logs": 0,
            f"{prefix}max_action_logs": settings.logs_max_mb * MIB,
        }
    return limits
