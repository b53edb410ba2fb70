"""What the register is told of the clients of a run."""

from __future__ import annotations

from collections.abc import Iterator

from serverless.platforms.protocol import Platform
from serverless.platforms.registry import PlatformSettings
from serverless.register.clients import Client
from serverless.storage.run_objects import data_key

_PATHS = {
    "openwhisk": "/api/v1/namespaces/_/actions/{function}",
    "openfaas": "/function/{function}",
    "google": "/v2/projects/-/locations/-/functions/{function}",
}
_LOOPBACK = "http://127.0.0.1"  # an embedded platform whose port is its own affair


def enrolled(
    platform: Platform, settings: PlatformSettings, function: str, group: str, clients: range
) -> Iterator[Client]:
    """Yield the clients that run on a platform.

    Parameters
    ----------
    function
        Name of their function.
    group
        The fabric's group that they are in.
    clients
        Their ids.
    """
    api_host = getattr(settings, "api_host", None)
    address = getattr(getattr(platform, "client", None), "api_host", None) or api_host or _LOOPBACK
    url = address.rstrip("/") + _PATHS.get(settings.name, "/{function}").format(function=function)
    for client_id in clients:
        yield Client(
            client_id,
            group=group,
            platform=platform.name,
            function=function,
            invocation_url=url,
            data_key=data_key(client_id),
            credential_env=getattr(settings, "auth_env", None) if api_host else None,
        )
