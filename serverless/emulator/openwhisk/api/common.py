"""What the handlers of OpenWhisk's API share: the key of the controller, and how requests are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from machine.json_values import read_json
from serverless.emulator import rest
from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.controller import Controller
from serverless.emulator.openwhisk.entities import NAMESPACE
from serverless.emulator.rest import ApiError

CONTROLLER = web.AppKey("controller", Controller)
TRANSACTION_ID = "transaction_id"
_MAX_LIST, _DEFAULT_LIST = 200, 30


def is_own(request: web.Request) -> bool:
    """Whether a request is for the caller's own namespace, by its name or as ``_``."""
    return request.match_info.get("namespace", NAMESPACE) in ("_", NAMESPACE)


def flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    """Return a boolean query parameter, in the spellings that OpenWhisk's HTTP library takes.

    Raises
    ------
    ApiError
        400 for another spelling.
    """
    text = request.query.get(name)
    if text is None:
        return default
    for value, spellings in ((True, ("true", "yes", "on", "1")), (False, ("false", "no", "off", "0"))):
        if text.lower() in spellings:
            return value
    raise ApiError(400, messages.malformed_query(name, f"'{text}' is not a valid Boolean value"))


def page(request: web.Request, collection: str, entries: Sequence[Any]) -> Any:
    """Return the part of a list that ``limit`` and ``skip`` ask for, or with ``count`` how long the rest is.

    Raises
    ------
    ApiError
        400 for numbers that are none or out of range.
    """
    limit = _number(request, "limit", collection, _DEFAULT_LIST)
    skip = _number(request, "skip", collection, 0)
    if not 0 <= limit <= _MAX_LIST:
        reason = f"The value '{limit}' is not in the range of 0 to {_MAX_LIST} for {collection}."
        raise ApiError(400, messages.malformed_query("limit", reason))
    if skip < 0:
        reason = f"The value '{skip}' is not greater than or equal to 0 for {collection}."
        raise ApiError(400, messages.malformed_query("skip", reason))
    if flag(request, "count"):
        return {collection: max(0, len(entries) - skip)}
    return entries[skip : skip + (limit or _MAX_LIST)]


def _number(request: web.Request, name: str, collection: str, default: int) -> int:
    text = request.query.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        reason = f"The value '{text}' is not an integer for {collection}."
        raise ApiError(400, messages.malformed_query(name, reason)) from None


async def received(request: web.Request) -> bytes:
    """Return the body.

    Raises
    ------
    ApiError
        408 if it has not arrived within the time for it.
    """
    try:
        return await rest.received(request, request.app[CONTROLLER].settings.request_timeout_s)
    except web.HTTPRequestTimeout:
        raise ApiError(408, messages.REQUEST_TIMEOUT) from None


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the body, which must be a JSON object; nothing at all is an empty one.

    Raises
    ------
    ApiError
        400 for anything else, 408 if it does not arrive, 415 if its content type is not JSON.
    """
    body = await received(request)
    if not body:
        return {}
    if request.content_type != "application/json":
        raise ApiError(415, messages.NOT_JSON_CONTENT)
    try:
        value = read_json(body)
    except ValueError as error:
        raise ApiError(400, messages.malformed_content(str(error))) from None
    if not isinstance(value, dict):
        raise ApiError(400, messages.malformed_content("Object expected"))
    return value
