"""Opens Google Cloud Functions for a run, and brings our functions to them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from serverless.platforms.embedded import start_embedded
from serverless.platforms.function_zip import package, requirements
from serverless.platforms.google.client import GoogleClient
from serverless.platforms.google.settings import TIMEOUT_MAX_S, GoogleSettings, vcpus
from serverless.platforms.google.tokens import GoogleTokens, OneToken
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError

_FRAMEWORK = "functions-framework"
RUNTIME = f"python3{sys.version_info.minor}"
_FIELDS = ("buildConfig", "serviceConfig", "labels")
_CODE = "code"  # label with the beginning of the code's SHA-256
_CODE_DIGITS = 40  # a label's value has at most 63 characters


@dataclass(frozen=True)
class GoogleFunctions:
    """Google Cloud Functions as a :class:`serverless.platforms.protocol.Platform`."""

    client: GoogleClient
    name: str = "google"
    _urls: dict[str, str] = field(default_factory=dict)

    def deploy(self, function: FunctionSpec, wrapper: str | None = None) -> None:
        """Create the function, or update one that has other code or limits.

        Parameters
        ----------
        wrapper
            Whose code, if not that of the function's name.
        """
        check(function)
        settings = self.client.settings
        code = package(
            f"google/{wrapper or function.name}",
            settings.functions_ca_file,
            function.engine,
            "main.py",
            {"requirements.txt": requirements(_FRAMEWORK)},
            function.store,
        )
        there = self.client.function(function.name)
        body = describe(function, hashlib.sha256(code).hexdigest(), settings.max_containers)
        if there is None or not is_current(there, body):
            body["buildConfig"]["source"] = {"storageSource": self.client.upload(code)}
            if there is None:
                there = self.client.create(function.name, body)
            else:
                there = self.client.patch(function.name, body, _FIELDS)
        self._urls[function.name] = str(there.get("url") or there["serviceConfig"]["uri"])

    def remove(self, name: str) -> None:
        """Delete the function if there is one."""
        self.client.delete(name)

    def functions(self) -> tuple[str, ...]:
        """Return the names of the deployed functions."""
        return self.client.functions()

    def invoke(self, function: FunctionSpec, params: dict[str, Any]) -> Invocation:
        """Invoke the function by its URL and wait for its answer."""
        try:
            if function.name not in self._urls:
                there = self.client.function(function.name) or {}
                self._urls[function.name] = str(there.get("url", ""))
        except PlatformError as error:
            return Invocation(None, None, "unreachable", str(error), may_have_run=False)
        url = self._urls[function.name]
        if not url:
            del self._urls[function.name]
            return Invocation(None, None, "no such function", f"{function.name} is not deployed", may_have_run=False)
        return self.client.invoke(function, params, url)


def check(function: FunctionSpec) -> None:
    """Refuse limits that Google does not have; raises :class:`PlatformError`."""
    try:
        vcpus(function.memory_mb)
    except ValueError as error:
        raise PlatformError(f"the {function.name} function cannot be deployed: {error}") from error
    if function.timeout_s > TIMEOUT_MAX_S:
        raise PlatformError(
            f"the {function.name} function cannot be deployed: its time limit of {function.timeout_s:g} s is above "
            f"Google's {TIMEOUT_MAX_S} s"
        )


def describe(function: FunctionSpec, code_sha256: str, max_instances: int) -> dict[str, Any]:
    """Return the ``Function`` of Google's API, without its source."""
    return {
        "environment": "GEN_2",
        "labels": {_CODE: code_sha256[:_CODE_DIGITS]},
        "buildConfig": {"runtime": RUNTIME, "entryPoint": "main"},
        "serviceConfig": {
            "availableMemory": f"{function.memory_mb}Mi",
            "availableCpu": f"{vcpus(function.memory_mb):g}",
            "timeoutSeconds": round(function.timeout_s),
            "maxInstanceCount": max_instances,
            "maxInstanceRequestConcurrency": 1,
        },
    }


def is_current(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a function serves with the code and the limits that are wanted."""
    served, config = there.get("serviceConfig", {}), wanted["serviceConfig"]
    same = all(str(served.get(name)) == str(value) for name, value in config.items())
    return same and there.get("state") == "ACTIVE" and there.get("labels", {}).get(_CODE) == wanted["labels"][_CODE]


@contextmanager
def open_platform(settings: GoogleSettings, log_path: Path) -> Iterator[GoogleFunctions]:
    """Open the project of ``settings``, or an embedded server for the time of the context.

    Parameters
    ----------
    log_path
        Log of the embedded server.

    Raises
    ------
    PlatformError
        If a package or the credentials are missing, or what is there is not Google's API.
    """
    with ExitStack() as stack:
        if settings.api_host is None:
            if find_spec("functions_framework") is None:
                raise PlatformError(
                    "the embedded Google Cloud Functions run under Google's functions-framework, which is not "
                    "installed: pip install 'serverless-fl-bench[google]'"
                )
            limits = {"destroy_after_s": settings.destroy_after_s}
            handle = stack.enter_context(start_embedded(settings, log_path, (_FRAMEWORK,), **limits))
            client = GoogleClient(handle.api_host, OneToken(handle.auth), settings)
        else:
            client = GoogleClient(settings.api_host.rstrip("/"), GoogleTokens(settings.auth_env), settings)
        client.functions()  # a wrong address, project or account is told before anything is done
        yield GoogleFunctions(client)
