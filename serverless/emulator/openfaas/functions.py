"""The functions of the embedded OpenFaaS gateway: their deployments, and the replicas that answer."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serverless.emulator.containers.container import ContainerGoneError
from serverless.emulator.containers.fleet import Fleet, NoInstanceError
from serverless.emulator.containers.http_container import Reply, Request, Service, ServiceContainer, mebibytes, unpack
from serverless.emulator.containers.pool import ContainerPool, PoolClosedError
from serverless.emulator.containers.workload import Limits, next_revision
from serverless.emulator.openfaas.replica import WatchdogContainer
from serverless.emulator.openfaas.watchdog_config import duration_s
from serverless.emulator.rest import ApiError, whole
from serverless.emulator.settings import EmulatorSettings

NAMESPACE = "openfaas-fn"
IMAGES = "embedded/"  # names of images whose code was sent to this server, by its SHA-256
INTERNAL = "X-OpenFaaS-Internal"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SCALE_MAX = 20  # OpenFaaS's default of com.openfaas.scale.max
_READY_POLL_S = 0.02
_READY_WITHIN_S = 100.0  # the gateway looks 1,000 times, every 0.1 s


@dataclass(frozen=True)
class Function:
    """A function as it was deployed, and as it runs."""

    deployment: Mapping[str, Any]
    service: Service
    created_at: str


class Functions:
    """The functions of one gateway.

    Parameters
    ----------
    settings
        The pool's memory bounds a function's.
    pool
        Where replicas come from.
    directory
        Where images are unpacked.
    """

    def __init__(self, settings: EmulatorSettings, pool: ContainerPool, directory: Path) -> None:
        self._settings = settings
        self._fleet = Fleet(pool, _until_ready)
        self._directory = directory
        self._functions: dict[str, Function] = {}

    def add_image(self, digest: str, code: bytes) -> None:
        """Keep an image's code.

        Raises
        ------
        ApiError
            400 if it is no zip of a function.
        """
        folder = self._directory / digest
        if folder.is_dir():
            return
        folder.mkdir(parents=True)
        try:
            unpack(code, folder, "__main__.py")
        except ValueError as error:
            shutil.rmtree(folder)
            raise ApiError(400, str(error)) from error

    def deploy(self, body: Mapping[str, Any], *, update: bool) -> None:
        """Create a function, or replace it.

        Raises
        ------
        ApiError
            400 for a deployment that is not valid, 404 for an update of none, 500 if there is one already.
        """
        service = self._service(body)
        if update and service.name not in self._functions:
            raise ApiError(
                404, f'unable update Deployment: {service.name}, error: deployments "{service.name}" not found'
            )
        if not update and service.name in self._functions:
            raise ApiError(500, f'unable create Deployment: deployments.apps "{service.name}" already exists')
        self._functions[service.name] = Function(dict(body), service, datetime.now(UTC).isoformat())

    def function(self, name: str) -> Function:
        """Return a function, by its name with or without the namespace; raises :class:`ApiError` 404."""
        name = name.removesuffix(f".{NAMESPACE}")
        if name not in self._functions:
            raise ApiError(404, f"error finding function {name}.{NAMESPACE}: no such function")
        return self._functions[name]

    def delete(self, name: str) -> None:
        """Remove a function; raises :class:`ApiError` 404 if there is none."""
        del self._functions[self.function(name).service.name]

    def statuses(self) -> list[dict[str, Any]]:
        """Return the gateway's ``FunctionStatus`` of all functions."""
        return [self.status(name) for name in self._functions]

    def status(self, name: str) -> dict[str, Any]:
        """Return the gateway's ``FunctionStatus`` of one function; raises :class:`ApiError` 404."""
        function = self.function(name)
        kept = ("image", "envProcess", "envVars", "labels", "annotations", "limits", "requests")
        working = self._fleet.instances(function.service)
        return {key: function.deployment[key] for key in kept if key in function.deployment} | {
            "name": function.service.name,
            "namespace": NAMESPACE,
            "replicas": working,
            "availableReplicas": working,
            "createdAt": function.created_at,
        }

    async def invoke(self, name: str, request: Request) -> Reply:
        """Let a replica answer; a busy one, which may refuse, if no further replica may be started.

        Raises
        ------
        ApiError
            404 if there is no such function.
        """
        service = self.function(name).service
        try:
            return await self._answered(service, request)
        except (NoInstanceError, PoolClosedError):
            return _proxy_error(503, f"No endpoints available for: {name}.")
        except (ContainerGoneError, TimeoutError, OSError):
            return _proxy_error(500, f"Can't reach service for: {name}.")

    async def _answered(self, service: Service, request: Request) -> Reply:
        """Ask a free replica or a new one, else a busy one; while all are just being started, hold the request."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while True:
            with suppress(NoInstanceError):
                return await self._fleet.send(service, request, timeout_s=None, wait_s=0.0)
            try:
                return await self._fleet.send_to_busy(service, request, timeout_s=None)
            except NoInstanceError:
                if time.monotonic() > give_up_at:
                    raise
            await asyncio.sleep(_READY_POLL_S)

    def _service(self, body: Mapping[str, Any]) -> Service:
        name, image = str(body.get("service", "")), str(body.get("image", ""))
        if not _NAME.fullmatch(name):
            raise ApiError(400, f"validation failed: service: ({name}) is invalid, must be a valid DNS entry")
        folder = self._directory / image.removeprefix(IMAGES)
        if not image.startswith(IMAGES) or not re.fullmatch(r"[0-9a-f]{64}", folder.name) or not folder.is_dir():
            raise ApiError(400, f"unable to pull image: {image!r}: this gateway has the images that were sent to it")
        labels = _texts(body, "labels")
        maximum = whole(labels.get("com.openfaas.scale.max", str(_SCALE_MAX)))
        if not maximum:
            raise ApiError(400, "validation failed: com.openfaas.scale.max is no count of replicas")
        environment = _texts(body, "envVars")
        if body.get("envProcess"):
            environment["fprocess"] = str(body["envProcess"])
        return Service(
            container=WatchdogContainer,
            name=name,
            limits=Limits(round(duration_s(environment.get("exec_timeout", "")) * 1000), self._memory_mb(body), 1),
            revision=next_revision(),
            source=folder,
            max_instances=maximum,
            environment=environment,
        )

    def _memory_mb(self, body: Mapping[str, Any]) -> int:
        """Return the limit, all of the pool if there is none."""
        quantity = (body.get("limits") or {}).get("memory")
        try:
            memory_mb = mebibytes(str(quantity)) if quantity else self._settings.pool_memory_mb
        except ValueError as error:
            raise ApiError(400, f"failed create Deployment spec: {error}") from error
        if memory_mb > self._settings.pool_memory_mb:
            raise ApiError(400, f"limits.memory: no node has {quantity}, at most {self._settings.pool_memory_mb}Mi")
        return memory_mb


def _texts(body: Mapping[str, Any], name: str) -> dict[str, str]:
    values = body.get(name) or {}
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ApiError(400, f"failed to unmarshal request: {name} must map texts to texts")
    return dict(values)


def _proxy_error(status: int, words: str) -> Reply:
    return Reply(status, {INTERNAL: "proxy", "Content-Type": "text/plain"}, words.encode())


async def _until_ready(container: ServiceContainer) -> None:
    """Wait until the watchdog reports that the replica is ready, as the readiness probe of a cluster does."""
    async with asyncio.timeout(_READY_WITHIN_S):
        while (await container.send(Request("GET", "/_/ready", {}, b""), _READY_WITHIN_S)).status != 200:
            await asyncio.sleep(_READY_POLL_S)
