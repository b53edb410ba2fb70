"""Opens an OpenFaaS for a run, and brings our functions to it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serverless.functions.openfaas.server import DEPLOYMENT_VARIABLE, READY_PATH
from serverless.platforms.embedded import start_embedded
from serverless.platforms.function_zip import package
from serverless.platforms.openfaas.callbacks import Callbacks, receive
from serverless.platforms.openfaas.client import OpenFaasClient
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError

_SLACK_S = 5.0  # the watchdog's own time-outs are that much longer than the function's


@dataclass(frozen=True)
class OpenFaas:
    """OpenFaaS as a :class:`serverless.platforms.protocol.Platform`.

    Parameters
    ----------
    is_embedded
        Whether the gateway is ours, which is sent the code instead of the name of an image.
    callbacks
        Where answers of asynchronous invocations come in; ``None``: invocations are synchronous.
    """

    client: OpenFaasClient
    is_embedded: bool
    callbacks: Callbacks | None = None
    name: str = "openfaas"
    _deployments: dict[str, str] = field(default_factory=dict)

    def deploy(self, function: FunctionSpec, wrapper: str | None = None) -> None:
        """Create the function, or update one that has other code or limits.

        Parameters
        ----------
        wrapper
            Whose code, if not that of the function's name.
        """
        trusted = self.client.settings.functions_ca_file
        code = package(f"openfaas/{wrapper or function.name}", trusted, function.engine, store=function.store)
        image = self._push(code) if self.is_embedded else self._image(wrapper or function.name)
        deployment = describe(function, image, hashlib.sha256(code).hexdigest(), self.client.settings.max_containers)
        self._deployments[function.name] = deployment["envVars"][DEPLOYMENT_VARIABLE]
        self.client.put(deployment)

    def remove(self, name: str) -> None:
        """Delete the function if there is one."""
        self.client.delete(name)

    def functions(self) -> tuple[str, ...]:
        """Return the names of the deployed functions."""
        return self.client.functions()

    def invoke(self, function: FunctionSpec, params: dict[str, Any]) -> Invocation:
        """Invoke the function and wait for its answer."""
        deployment = self._deployments.get(function.name)
        if self.callbacks is None:
            return self.client.invoke(function, params, deployment)
        with self.callbacks.expect(deployment) as (url, answer):
            queued = self.client.submit(function, params, url)
            if queued.error_kind:
                return queued
            try:
                return answer.result(2 * function.timeout_s + self.client.settings.request_timeout_s)
            except TimeoutError:
                return Invocation(queued.activation_id, None, "no answer", "nothing was posted back in time")

    def _push(self, code: bytes) -> str:
        digest = hashlib.sha256(code).hexdigest()
        self.client.web.call("PUT", f"{self.client.api_host}/embedded/images/{digest}", data=code)
        return f"embedded/{digest}"

    def _image(self, function: str) -> str:
        image = self.client.settings.image
        if not image:
            raise PlatformError(
                "OpenFaaS runs images and cannot be sent code: name one that holds the functions with "
                "platform.image=REGISTRY/NAME-{function}:TAG; docs/platforms.md says how it is built"
            )
        return image.replace("{function}", function)


def describe(function: FunctionSpec, image: str, code_sha256: str, replicas: int) -> dict[str, Any]:
    """Return OpenFaaS's ``FunctionDeployment``."""
    limit_s, slack_s = f"{function.timeout_s:g}s", f"{function.timeout_s + _SLACK_S:g}s"
    memory = {"memory": f"{function.memory_mb}Mi"}
    environment = {
        "exec_timeout": limit_s,
        "read_timeout": slack_s,
        "write_timeout": slack_s,
        "max_inflight": "1",
        "ready_path": READY_PATH,
    }
    told = {"image": image, "code": code_sha256, "limits": memory, **environment}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return {
        "service": function.name,
        "image": image,
        "envVars": environment | {DEPLOYMENT_VARIABLE: digest},
        "labels": {"com.openfaas.scale.max": str(replicas), "com.openfaas.scale.min": "1"},
        "annotations": {"com.openfaas.ready.http.path": "/_/ready"},
        "limits": memory,
        "requests": memory,
    }


@contextmanager
def open_platform(settings: OpenFaasSettings, log_path: Path) -> Iterator[OpenFaas]:
    """Open the gateway of ``settings``, or an embedded one for the time of the context.

    Parameters
    ----------
    log_path
        Log of the embedded gateway.

    Raises
    ------
    PlatformError
        If the credentials are not in the environment, or what is there is no gateway.
    """
    with ExitStack() as stack:
        if settings.api_host is None:
            handle = stack.enter_context(start_embedded(settings, log_path, destroy_after_s=settings.destroy_after_s))
            client = OpenFaasClient(handle.api_host, handle.auth, settings)
        else:
            client = OpenFaasClient(settings.api_host.rstrip("/"), _auth(settings), settings)
        client.functions()  # a wrong address or password is told before anything is done
        callbacks = stack.enter_context(receive(settings.callback_host)) if settings.callback_host else None
        yield OpenFaas(client, is_embedded=settings.api_host is None, callbacks=callbacks)


def _auth(settings: OpenFaasSettings) -> str:
    auth = os.environ.get(settings.auth_env, "")
    if ":" not in auth:
        raise PlatformError(
            f"the environment variable {settings.auth_env} does not hold user:password of the OpenFaaS gateway "
            f"{settings.api_host}; set it, for example from the secret basic-auth in the namespace openfaas"
        )
    return auth
