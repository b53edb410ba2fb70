"""The server's description of itself: its roots, its limits, and the collections that are always empty."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from serverless.emulator.openwhisk.api.common import CONTROLLER, page
from serverless.emulator.openwhisk.entities import NAMESPACE
from serverless.emulator.rest import reply
from serverless.emulator.settings import MIB, EmulatorSettings

ROOT = "/api/v1"
PUBLIC = frozenset({"/", "/ping", ROOT, f"{ROOT}/"})  # need no key


def info_routes() -> list[web.RouteDef]:
    """Return the routes that belong to no collection."""
    namespace = f"{ROOT}/namespaces/{{namespace}}"
    routes = [web.get("/ping", _ping), web.get("/", _root)]
    for end in ("", "/"):
        routes += [
            web.get(f"{ROOT}{end}", _api_root),
            web.get(f"{ROOT}/namespaces{end}", _namespaces),
            web.get(f"{namespace}/limits{end}", _limits),
            web.get(f"{namespace}/{{collection:rules|triggers}}{end}", _none),
        ]
    return routes


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="pong")


async def _root(request: web.Request) -> web.Response:
    settings = request.app[CONTROLLER].settings
    return reply({"description": "OpenWhisk", "api_paths": [ROOT], "limits": _deployment_limits(settings)})


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


async def _none(request: web.Request) -> web.Response:
    """Return an empty list: clients ask for rules and triggers, too, which cannot be made here."""
    return reply(page(request, request.match_info["collection"], ()))


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
            "maxActionConcurrency": settings.action_concurrency_max,
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
