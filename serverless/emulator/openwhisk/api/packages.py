"""``/namespaces/_/packages``: create, bind, read, list and delete."""

from __future__ import annotations

from aiohttp import web

from serverless.emulator.openwhisk.api.common import CONTROLLER, flag, is_own, json_object, page
from serverless.emulator.openwhisk.names import check_name
from serverless.emulator.rest import reply


def package_routes(root: str) -> list[web.RouteDef]:
    """Return the routes below ``root``."""
    one = f"{root}/{{package}}"
    return [
        web.get(root, _list),
        web.get(f"{root}/", _list),
        web.get(one, _get, allow_head=False),
        web.put(one, _put),
        web.delete(one, _delete),
    ]


def is_list_of_packages(request: web.Request) -> bool:
    """Whether a request is for the list of shared packages, the only resource that may be read of any namespace."""
    return request.match_info.handler is _list


async def _list(request: web.Request) -> web.Response:
    packages = request.app[CONTROLLER].catalogue.packages() if is_own(request) else []
    return reply(page(request, "packages", [package.summary() for package in packages]))


async def _get(request: web.Request) -> web.Response:
    return reply(request.app[CONTROLLER].catalogue.package_with_actions(_name(request)))


async def _put(request: web.Request) -> web.Response:
    name, overwrite = _name(request), flag(request, "overwrite")
    body = await json_object(request)
    return reply(request.app[CONTROLLER].catalogue.put_package(name, body, overwrite=overwrite).to_json())


async def _delete(request: web.Request) -> web.Response:
    name, force = _name(request), flag(request, "force")
    return reply(request.app[CONTROLLER].catalogue.delete_package(name, force=force).to_json())


def _name(request: web.Request) -> str:
    return check_name(request.match_info["package"])
