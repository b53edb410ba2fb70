"""Opens an OpenWhisk for a run, and brings our functions to it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serverless.platforms.embedded import start_embedded
from serverless.platforms.function_zip import package
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError

KIND = "python:3"


@dataclass(frozen=True)
class OpenWhisk:
    """OpenWhisk as a :class:`serverless.platforms.protocol.Platform`."""

    client: OpenWhiskClient
    name: str = "openwhisk"

    def deploy(self, function: FunctionSpec, wrapper: str | None = None) -> None:
        """Create or overwrite the action with this project's code.

        Parameters
        ----------
        wrapper
            Whose code, if not that of the function's name.
        """
        trusted = self.client.settings.functions_ca_file
        code = f"openwhisk/{wrapper or function.code or function.name}"
        zipped = package(code, trusted, function.engine, store=function.store)
        encoded = base64.b64encode(zipped).decode("ascii")
        self.client.put_action(function, encoded, kind=KIND, binary=True)

    def remove(self, name: str) -> None:
        """Delete the action if there is one."""
        self.client.delete_action(name)

    def functions(self) -> tuple[str, ...]:
        """Return the names of the namespace's actions."""
        return self.client.actions()

    def invoke(self, function: FunctionSpec, params: dict[str, Any]) -> Invocation:
        """Invoke the action and wait for its record."""
        return self.client.invoke(function, params)


@contextmanager
def open_platform(settings: OpenWhiskSettings, log_path: Path) -> Iterator[OpenWhisk]:
    """Open the deployment of ``settings``, or an embedded server for the time of the context.

    Parameters
    ----------
    log_path
        Log of the embedded server.

    Raises
    ------
    PlatformError
        If the deployment's key is not in the environment.
    """
    if settings.api_host is None:
        rates = {name: getattr(settings, name) for name in ("invocations_per_minute", "concurrent_invocations")}
        with start_embedded(settings, log_path, **rates) as server:
            yield OpenWhisk(OpenWhiskClient(server.api_host, server.auth, settings))
        return
    auth = os.environ.get(settings.auth_env, "")
    if ":" not in auth:
        raise PlatformError(
            f"the environment variable {settings.auth_env} does not hold an OpenWhisk key (uuid:key) for "
            f"{settings.api_host}; set it, for example from `wsk property get --auth`"
        )
    yield OpenWhisk(OpenWhiskClient(settings.api_host.rstrip("/"), auth, settings))
