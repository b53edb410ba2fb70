"""The functions of the embedded Google Cloud Functions: resources, operations, sources, and calls of instances."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serverless.emulator.containers.container import ContainerGoneError
from serverless.emulator.containers.fleet import Fleet, NoInstanceError
from serverless.emulator.containers.http_container import Reply, Request, Service, ServiceContainer, mebibytes, unpack
from serverless.emulator.containers.pool import ContainerPool, PoolClosedError
from serverless.emulator.containers.workload import Limits, next_revision
from serverless.emulator.google.instance import FrameworkContainer
from serverless.emulator.rest import whole
from serverless.emulator.settings import EmulatorSettings

BUCKET = "embedded-sources"
_ID = re.compile(r"[a-z][a-z0-9-]{2,61}[a-z0-9]")
_TIMEOUT_MAX_S = 3600
_OBJECTS: dict[str, Any] = {  # of a function's resource: where an object is expected, or nothing
    "buildConfig": {"source": {"storageSource": {}}},
    "serviceConfig": {"environmentVariables": {}},
}
_CODES = {"INVALID_ARGUMENT": (3, 400), "NOT_FOUND": (5, 404), "ALREADY_EXISTS": (6, 409)}


class GoogleError(Exception):
    """A refusal, in Google's words."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code, self.http_status = _CODES[status]


@dataclass(frozen=True)
class Function:
    """A function's resource, and how it runs."""

    resource: Mapping[str, Any]
    service: Service


class Functions:
    """The functions of one server, of all projects.

    Parameters
    ----------
    settings
        The pool's memory bounds a function's.
    pool
        Where instances come from.
    directory
        Where sources are unpacked.
    base_url
        The server's address; a function's own is below it.
    """

    def __init__(self, settings: EmulatorSettings, pool: ContainerPool, directory: Path, base_url: str) -> None:
        self._settings = settings
        self._fleet = Fleet(pool, _at_once)
        self._directory = directory
        self.base_url = base_url
        self.operations: dict[str, dict[str, Any]] = {}
        self._functions: dict[str, Function] = {}
        self._sources: dict[str, bytes | None] = {}
        self._numbers = itertools.count(1)

    def new_upload(self) -> dict[str, Any]:
        """Return the URL to which a source may be sent, and the name that it has afterwards."""
        token = secrets.token_urlsafe(24)
        self._sources[token] = None
        source = {"bucket": BUCKET, "object": f"{token}.zip"}
        return {"uploadUrl": f"{self.base_url}/upload/{token}", "storageSource": source}

    def upload(self, token: str, code: bytes) -> None:
        """Keep the source that was sent to a URL which was given out, see :meth:`may_upload`."""
        self._sources[token] = code

    def may_upload(self, token: str) -> bool:
        """Whether the URL with ``token`` was given out."""
        return token in self._sources

    def create(self, parent: str, function_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a function; return the operation.

        Raises
        ------
        GoogleError
            If the request is not valid. If the function exists already, the operation reports it.
        """
        _check(body, _OBJECTS)
        name = f"{parent}/functions/{function_id}"
        if not _ID.fullmatch(function_id):
            raise GoogleError("INVALID_ARGUMENT", f"functionId {function_id!r}: 4-63 characters of /[a-z][0-9]-/")
        if name in self._functions:
            return self._operation(name, "create", GoogleError("ALREADY_EXISTS", f"Resource '{name}' already exists"))
        return self._deployed(name, "create", body)

    def patch(self, name: str, body: Mapping[str, Any], mask: str) -> dict[str, Any]:
        """Change the fields of a function that ``mask`` names, all that are given if it is empty.

        Raises
        ------
        GoogleError
            404 if there is no such function; 400 for a body that is no function's.
        """
        _check(body, _OBJECTS)
        changed = {key: dict(value) if isinstance(value, dict) else value for key, value in self.get(name).items()}
        given = [path.split(".") for path in mask.split(",") if path] or [[key] for key in body]
        for path in given:
            _copy(path, body, changed)
        return self._deployed(name, "update", changed)

    def delete(self, name: str) -> dict[str, Any]:
        """Delete a function; return the operation; raises :class:`GoogleError` 404."""
        self.get(name)
        del self._functions[name]
        return self._operation(name, "delete", {"@type": "type.googleapis.com/google.protobuf.Empty"})

    def get(self, name: str) -> Mapping[str, Any]:
        """Return a function's resource; raises :class:`GoogleError` 404."""
        if name not in self._functions:
            raise GoogleError("NOT_FOUND", f"Resource '{name}' was not found")
        return self._functions[name].resource

    def list(self, parent: str) -> list[Mapping[str, Any]]:
        """Return the functions of a location, in the order of their names."""
        names = sorted(name for name in self._functions if name.startswith(f"{parent}/functions/"))
        return [self._functions[name].resource for name in names]

    async def invoke(self, name: str, request: Request) -> Reply | None:
        """Return an instance's answer, or Cloud Run's if none answers; ``None`` if there is no such function."""
        if name not in self._functions:
            return None
        service = self._functions[name].service
        try:
            return await self._fleet.send(service, request, service.timeout_s, self._settings.pending_s)
        except NoInstanceError:
            return _words(429, "Rate exceeded.")
        except TimeoutError:
            return _words(504, "upstream request timeout")
        except (ContainerGoneError, OSError):
            return _words(503, "The request failed because either the HTTP response was malformed or connection to the "
                               "instance had an error.")  # fmt: skip
        except PoolClosedError:
            return _words(503, "Service Unavailable")

    def _deployed(self, name: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Build a version and begin to serve it; an error in its source is reported by the operation."""
        revision = next_revision()
        try:
            service = self._service(name.rpartition("/")[2], revision, body)
        except ValueError as error:
            failed = GoogleError("INVALID_ARGUMENT", f"Build failed: {error}")
            return self._operation(name, verb, failed)
        url = f"{self.base_url}/run/{name}"
        served = {**body.get("serviceConfig", {}), "uri": url, "revision": f"{service.name}-{revision:05d}"}
        resource = {
            **body,
            "name": name,
            "serviceConfig": served,
            "url": url,
            "state": "ACTIVE",
            "environment": "GEN_2",
            "updateTime": datetime.now(UTC).isoformat(),
        }
        self._functions[name] = Function(resource, service)
        return self._operation(
            name, verb, {"@type": "type.googleapis.com/google.cloud.functions.v2.Function", **resource}
        )

    def _service(self, function_id: str, revision: int, body: Mapping[str, Any]) -> Service:
        build, config = body.get("buildConfig") or {}, body.get("serviceConfig") or {}
        source = (build.get("source") or {}).get("storageSource") or {}
        code = self._sources.get(str(source.get("object", "")).removesuffix(".zip"))
        if source.get("bucket") != BUCKET or code is None:
            raise ValueError(f"there is no source at {source}")
        timeout_s, memory_mb = (
            _whole(config, "timeoutSeconds", 60),
            mebibytes(str(config.get("availableMemory", "256M"))),
        )
        if not 1 <= timeout_s <= _TIMEOUT_MAX_S:
            raise ValueError(f"timeoutSeconds {timeout_s}: from 1 to {_TIMEOUT_MAX_S}")
        if memory_mb > self._settings.pool_memory_mb:
            raise ValueError(f"availableMemory: this server has {self._settings.pool_memory_mb}Mi")
        folder = self._directory / f"{function_id}-{revision}"
        folder.mkdir(parents=True)
        unpack(code, folder, "main.py")
        return Service(
            container=FrameworkContainer,
            name=function_id,
            limits=Limits(timeout_s * 1000, memory_mb, 1),
            revision=revision,
            source=folder,
            max_instances=_whole(config, "maxInstanceCount", 100),
            environment={
                **_texts(config.get("environmentVariables") or {}),
                "FUNCTION_TARGET": str(build.get("entryPoint") or function_id),
            },
        )

    def _operation(self, target: str, verb: str, outcome: Mapping[str, Any] | GoogleError) -> dict[str, Any]:
        """Keep an operation that is done, and return it as it was before: clients ask for its end."""
        parent = target.rpartition("/functions/")[0]
        name = f"{parent}/operations/operation-{next(self._numbers)}"
        started = {"name": name, "metadata": {"target": target, "verb": verb, "apiVersion": "v2"}, "done": False}
        end: dict[str, Any] = {"response": outcome}
        if isinstance(outcome, GoogleError):
            end = {"error": {"code": outcome.code, "message": outcome.message}}
        self.operations[name] = started | {"done": True} | end
        return started


def _check(body: Mapping[str, Any], objects: Mapping[str, Any]) -> None:
    """Refuse a body with something else where an object belongs."""
    for key, inner in objects.items():
        value = body.get(key)
        if value is not None and not isinstance(value, dict):
            raise GoogleError("INVALID_ARGUMENT", f"Invalid value at '{key}': an object is expected")
        _check(value or {}, inner)


def _whole(config: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number, which proto3's JSON may write as a text."""
    number = whole(str(config.get(name, default)))
    if number is None:
        raise ValueError(f"{name} is no whole number")
    return number


def _texts(values: Mapping[str, Any]) -> Mapping[str, str]:
    if not all(isinstance(value, str) for value in values.values()):
        raise ValueError("environmentVariables must map texts to texts")
    return values


def _copy(path: list[str], body: Mapping[str, Any], changed: dict[str, Any]) -> None:
    *parents, last = path
    for key in parents:
        body, changed = body.get(key) or {}, changed.setdefault(key, {})
        if not isinstance(body, dict) or not isinstance(changed, dict):
            raise GoogleError("INVALID_ARGUMENT", f"Invalid field in the update mask: {'.'.join(path)!r}")
    if last in body:
        changed[last] = body[last]
    else:
        changed.pop(last, None)


def _words(status: int, text: str) -> Reply:
    return Reply(status, {"Content-Type": "text/plain"}, text.encode())


async def _at_once(container: ServiceContainer) -> None:
    """Do not wait: requests wait in the instance's own socket until the framework accepts them."""
