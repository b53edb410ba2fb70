"""What the server refuses before any of its APIs looks at a request: what a web page in somebody's browser could send.

A page may send a POST of some content types to every address, also to loopback, without being allowed to. And it may
call our address by a name of its own (DNS rebinding): then the browser takes us for the page's own server.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from serverless.emulator.rest import Handler

# of fetch's "CORS-safelisted request-header"; aiohttp calls a missing content type application/octet-stream
_OF_PAGES = frozenset({"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@web.middleware
async def refuse_what_pages_send(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a POST that a page can send; OpenWhisk's API does so by itself, in its own words."""
    is_typed = "Content-Type" in request.headers and request.content_type not in _OF_PAGES
    if request.method == "POST" and request.body_exists and not is_typed:
        return web.Response(status=415, text="the content type must be application/json")
    return await handler(request)


@web.middleware
async def refuse_other_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request to loopback by a name of somebody else's."""
    if not _is_own_name(request):
        return web.Response(status=421, text="this server is reached by its address, or as localhost")
    return await handler(request)


def _is_own_name(request: web.Request) -> bool:
    """Whether the header ``Host`` is an address or ``localhost``; what others may reach may have any name."""
    socket = request.transport.get_extra_info("sockname") if request.transport else None
    if socket is None or not is_loopback(socket[0]):
        return True
    try:
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name)
