"""The action, or the package, that a PUT request makes of its body and of the version before it."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serverless.emulator.containers.workload import Limits, next_revision
from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.entities import BINDING, NAMESPACE, PROVIDE_API_KEY, Action, Exec, Package, Parameter
from serverless.emulator.openwhisk.names import is_name
from serverless.emulator.openwhisk.put_body import PutBody, check_size, malformed, size_of
from serverless.emulator.rest import ApiError
from serverless.emulator.settings import EmulatorSettings

KINDS = ("python:3", "python:3.11")
_DEFAULT_KINDS = {"python:default": "python:3.11"}


def put_action(path: str, body: Mapping[str, Any], old: Action | None, settings: EmulatorSettings) -> Action:
    """Return the action that a PUT makes; fields that the body does not have come from the ``old`` version.

    Raises
    ------
    ApiError
        400 for a malformed body, a runtime that is not served or a limit outside its range; 413 for code,
        parameters or annotations above their size.
    """
    put = _ActionBody(body, settings)
    executable = put.executable() or (old.exec if old else None)
    if executable is None:
        raise ApiError(400, messages.EXEC_UNDEFINED)
    parameters = put.key_values("parameters")
    removed = put.removed_annotations()
    annotations = {PROVIDE_API_KEY: Parameter(value=False)}
    if old:
        annotations = {key: value for key, value in old.annotations.items() if key not in removed}
    annotations |= put.key_values("annotations") or {}
    return Action(
        path=path,
        exec=executable,
        limits=put.limits(old.limits if old else None),
        revision=next_revision(),
        updated=time.time_ns() // 1_000_000,
        parameters=(old.parameters if old else {}) if parameters is None else parameters,
        annotations=annotations | {"exec": Parameter(executable.kind)},
        version=put.version(old.version if old else None),
        publish=put.field("publish", bool, old.publish if old else False),
    )


@dataclass(frozen=True)
class _ActionBody(PutBody):
    def executable(self) -> Exec | None:
        fields = self.field("exec", dict, None)
        if fields is None:
            return None
        if not isinstance(fields.get("kind"), str):
            raise malformed("'kind' must be a string defined in 'exec'")
        asked = fields["kind"].strip().lower()
        kind = _DEFAULT_KINDS.get(asked, asked)
        if kind not in KINDS:
            valid = "', '".join((*KINDS, *_DEFAULT_KINDS))
            raise malformed(
                f"The specified runtime '{asked}' is not supported by this platform. Valid values are: '{valid}'."
            )
        code, main = fields.get("code"), fields.get("main")
        if not isinstance(code, str):
            raise malformed(f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions")
        if not isinstance(main, str | None):
            raise malformed(f"if defined, 'main' be a string in 'exec' for '{kind}' actions")
        check_size("exec", size_of(code) + size_of(main or ""), self.settings.max_code_bytes)
        return Exec(kind=kind, code=code, binary=_is_base64(code), main=main)

    def removed_annotations(self) -> list[str]:
        names: list[Any] = self.field("delAnnotations", list, [])
        if not all(isinstance(name, str) for name in names):
            raise malformed("'delAnnotations' must be a list of strings")
        return names

    def limits(self, old: Limits | None) -> Limits:
        limits = self.settings
        given = {key: value for key, value in self.field("limits", dict, {}).items() if value is not None}
        default = old or Limits(limits.timeout_default_ms, limits.memory_default_mb, limits.logs_default_mb)

        def limit(key: str, what: str, unit: str, allowed: tuple[int, int]) -> int:
            value = _whole(given.get(key, getattr(default, key)), what)
            lowest, highest = allowed
            if not lowest <= value <= highest:
                relation, threshold = ("below", lowest) if value < lowest else ("exceeds", highest)
                raise ApiError(400, f"{what} {value}{unit} {relation} allowed threshold of {threshold}{unit}")
            return value

        return Limits(
            timeout=limit("timeout", "duration", " milliseconds", (limits.timeout_min_ms, limits.timeout_max_ms)),
            memory=limit("memory", "memory size", " MB", (limits.memory_min_mb, limits.memory_max_mb)),
            logs=limit("logs", "log size", " MB", (0, limits.logs_max_mb)),
            concurrency=limit("concurrency", "concurrency", "", (1, limits.action_concurrency_max)),
            instances=self._instances(given["instances"]) if "instances" in given else default.instances,
        )

    def _instances(self, value: object) -> int:
        instances, most = _whole(value, "instance concurrency"), self.settings.concurrent_invocations
        if instances < 0:
            raise malformed(messages.TOO_FEW_INSTANCES)
        if instances > most:
            words = f"Max action instance concurrency must not exceed your namespace concurrency of {most}."
            raise ApiError(400, words)
        return instances


def _whole(value: object, what: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise malformed(f"{what} limit must be whole number")
    return value


def _is_base64(code: str) -> bool:
    """OpenWhisk looks at the code itself; the ``binary`` that a client sends plays no part."""
    stripped = code.strip()
    try:
        return bool(stripped) and bool(base64.b64decode(stripped, validate=True))
    except (binascii.Error, ValueError):
        return False


def put_package(name: str, body: Mapping[str, Any], old: Package | None, settings: EmulatorSettings) -> Package:
    """Return the package that a PUT makes; fields that the body does not have come from the ``old`` version.

    Raises
    ------
    ApiError
        400 for a malformed body; 403 for a binding to another namespace's package; 413 for parameters or
        annotations above their size.
    """
    put = PutBody(body, settings)
    binding = _binding(put) or (old.binding if old else None)
    parameters, annotations = put.key_values("parameters"), put.key_values("annotations")
    shown = dict((old.annotations if old else {}) if annotations is None else annotations)
    shown.pop(BINDING, None)
    if binding is not None:
        shown[BINDING] = Parameter({"namespace": NAMESPACE, "name": binding})
    return Package(
        name=name,
        updated=time.time_ns() // 1_000_000,
        binding=binding,
        parameters=(old.parameters if old else {}) if parameters is None else parameters,
        annotations=shown,
        version=put.version(old.version if old else None),
        publish=put.field("publish", bool, old.publish if old else False),
    )


def _binding(put: PutBody) -> str | None:
    """Return the name of the package that the body binds to; an empty object binds to none."""
    fields = put.field(BINDING, dict, {})
    if not fields:
        return None
    namespace, name = (fields.get(key) for key in ("namespace", "name"))
    if not (isinstance(namespace, str) and isinstance(name, str) and is_name(namespace) and is_name(name)):
        raise malformed("entity name malformed")
    if namespace not in ("_", NAMESPACE):
        raise ApiError(403, messages.not_authorized(f"{namespace}/{name}"))
    return name
