"""``/namespaces/_/actions``: create, read, list, delete and invoke."""

from __future__ import annotations

import asyncio

from aiohttp import web

from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.activations import APPLICATION_ERROR, DEVELOPER_ERROR, SUCCESS, Activation
from serverless.emulator.openwhisk.api.common import (
    CONTROLLER,
    TRANSACTION_ID,
    flag,
    json_object,
    page,
    received,
)
from serverless.emulator.openwhisk.entities import NAMESPACE
from serverless.emulator.openwhisk.names import check_name
from serverless.emulator.rest import ApiError, reply, whole

_ACTIVATION_ID = "x-openwhisk-activation-id"
_HTTP_STATUS = {SUCCESS: 200, APPLICATION_ERROR: 502, DEVELOPER_ERROR: 502}


def action_routes(root: str) -> list[web.RouteDef]:
    """Return the routes below ``root``; an action is ``NAME`` or ``PACKAGE/NAME``."""
    routes = [web.get(path, _list) for path in (root, f"{root}/", f"{root}/{{package}}/")]
    for path in (f"{root}/{{name}}", f"{root}/{{package}}/{{name}}"):
        routes += [
            web.get(path, _get, allow_head=False),
            web.put(path, _put),
            web.delete(path, _delete),
            web.post(path, _invoke),
        ]
    return routes


def _path(request: web.Request) -> str:
    return "/".join(check_name(request.match_info[part]) for part in ("package", "name") if part in request.match_info)


async def _list(request: web.Request) -> web.Response:
    catalogue = request.app[CONTROLLER].catalogue
    package = request.match_info.get("package")
    actions = catalogue.actions() if package is None else catalogue.actions_in(check_name(package))
    return reply(page(request, "actions", [action.summary() for action in actions]))


async def _get(request: web.Request) -> web.Response:
    code = flag(request, "code", default=True)
    resolved = request.app[CONTROLLER].catalogue.resolve(_path(request))
    shown = resolved.action.to_json(code=code)
    if resolved.binding and not code:  # only OpenWhisk's metadata of an action has the field
        shown["binding"] = f"{NAMESPACE}/{resolved.binding}"
    return reply(shown)


async def _put(request: web.Request) -> web.Response:
    catalogue, path = request.app[CONTROLLER].catalogue, _path(request)
    catalogue.check_owner(path)
    overwrite = flag(request, "overwrite")
    body = await json_object(request)
    return reply(catalogue.put_action(path, body, overwrite=overwrite).to_json())


async def _delete(request: web.Request) -> web.Response:
    return reply(request.app[CONTROLLER].catalogue.delete_action(_path(request)).to_json())


async def _invoke(request: web.Request) -> web.Response:
    controller = request.app[CONTROLLER]
    path = _path(request)
    size, allowed = len(await received(request)), controller.settings.max_payload_bytes
    controller.throttle.check()  # once all has arrived: nothing may come between this and the activation that counts
    if size > allowed:
        raise ApiError(413, messages.too_big("Request", size, allowed))
    wait_s = _wait_s(request) if flag(request, "blocking") else 0.0
    bare_result = flag(request, "result")
    task = controller.invoke(path, await json_object(request), request[TRANSACTION_ID])
    if wait_s:
        await asyncio.wait((task,), timeout=wait_s)
    if wait_s and task.done():
        return _answer(task.result(), bare_result=bare_result)
    activation_id = task.get_name()
    return reply({"activationId": activation_id}, 202, {_ACTIVATION_ID: activation_id})


def _wait_s(request: web.Request) -> float:
    maximum_ms = int(request.app[CONTROLLER].settings.blocking_wait_s * 1000)
    text = request.query.get("timeout", str(maximum_ms))
    wait_ms = whole(text)
    if wait_ms is None or not 0 < wait_ms <= maximum_ms:
        raise ApiError(
            400, messages.malformed_query("timeout", f"Timeout must be number of milliseconds up to {maximum_ms}.")
        )
    return wait_ms / 1000


def _answer(activation: Activation, *, bare_result: bool) -> web.Response:
    result = activation.response.result
    # OpenWhisk sends an array bare in any case, and never the logs: they are in the stored record.
    shown = result if bare_result or isinstance(result, list) else activation.to_json() | {"logs": []}
    status = _HTTP_STATUS.get(activation.response.status_code, 500)
    return reply(shown, status, {_ACTIVATION_ID: activation.activation_id})
