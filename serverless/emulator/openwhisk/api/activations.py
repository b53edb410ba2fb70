"""``/namespaces/_/activations``: the records, whole or in part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.activations import Activation
from serverless.emulator.openwhisk.api.common import CONTROLLER, flag, page
from serverless.emulator.openwhisk.names import is_name
from serverless.emulator.rest import ApiError, reply

_ID_LENGTH = 32
_ID_DIGITS = frozenset("0123456789abcdef")


def activation_routes(root: str) -> list[web.RouteDef]:
    """Return the routes below ``root``."""
    one = f"{root}/{{activation_id}}"
    return [
        web.get(root, _list),
        web.get(f"{root}/", _list),
        web.get(one, _part(Activation.to_json)),
        web.get(f"{one}/logs", _part(lambda record: {"logs": list(record.logs)})),
        web.get(f"{one}/result", _part(lambda record: record.response.to_json())),
    ]


def _part(show: Callable[[Activation], dict[str, Any]]) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        activation_id = request.match_info["activation_id"]
        if len(activation_id) != _ID_LENGTH:
            raise ApiError(400, f"Activation id length is {len(activation_id)} but must be {_ID_LENGTH}.")
        if not _ID_DIGITS.issuperset(activation_id):
            raise ApiError(400, messages.ILLEGAL_ACTIVATION_ID)
        record = request.app[CONTROLLER].activations.get(activation_id)
        if record is None:
            raise ApiError(404, messages.NOT_FOUND)
        return reply(show(record))

    return handler


async def _list(request: web.Request) -> web.Response:
    docs = flag(request, "docs")
    if docs and flag(request, "count"):
        raise ApiError(400, messages.DOCS_WITH_COUNT)
    records = request.app[CONTROLLER].activations.find(
        path=_name(request), since=_moment(request, "since"), upto=_moment(request, "upto")
    )
    shown = page(request, "activations", records)
    if isinstance(shown, list):
        shown = [record.to_json() if docs else record.summary() for record in shown]
    return reply(shown)


def _name(request: web.Request) -> str | None:
    name = request.query.get("name", "").strip("/ ")
    if name.count("/") > 1 or not all(map(is_name, filter(None, name.split("/")))):
        reason = f"Parameter may be a 'simple' name or 'package-name/simple' name: {name}"
        raise ApiError(400, messages.malformed_query("name", reason))
    return name or None


def _moment(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        reason = f"Parameter is not a valid value for epoch seconds: {text}"
        raise ApiError(400, messages.malformed_query(name, reason)) from None
