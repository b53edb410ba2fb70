"""Reading the body of ``PUT .../actions/NAME`` into an :class:`~serverless.emulator.action.Action`."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serverless.emulator import messages
from serverless.emulator.action import PROVIDE_API_KEY, Action, Exec, Limits, Parameter
from serverless.emulator.errors import ApiError
from serverless.emulator.settings import EmulatorSettings

KINDS = ("python:3", "python:3.11")
_DEFAULT_KINDS = {"python:default": "python:3.11"}
_revisions = itertools.count(1)


def put_action(path: str, body: Mapping[str, Any], old: Action | None, settings: EmulatorSettings) -> Action:
    """Return the action that a PUT leaves behind; what the body leaves out comes from the ``old`` version.

    Raises
    ------
    ApiError
        400 for a malformed body, a runtime that is not served or a limit outside its range; 413 for code,
        parameters or annotations above their size.
    """
    put = _Put(body, settings)
    executable = put.executable() or (old.exec if old else None)
    if executable is None:
        raise ApiError(400, messages.EXEC_UNDEFINED)
    parameters = put.key_values("parameters")
    annotations = dict(old.annotations) if old else {PROVIDE_API_KEY: Parameter(value=False)}
    for removed in put.field("delAnnotations", list, []):
        annotations.pop(str(removed), None)
    annotations |= put.key_values("annotations") or {}
    return Action(
        path=path,
        exec=executable,
        limits=put.limits(old.limits if old else None),
        revision=next(_revisions),
        updated=time.time_ns() // 1_000_000,
        parameters=(old.parameters if old else {}) if parameters is None else parameters,
        annotations=annotations | {"exec": Parameter(executable.kind)},
        version=put.field("version", str, None) or (_next_patch(old.version) if old else "0.0.1"),
        publish=put.field("publish", bool, old.publish if old else False),
    )


def _next_patch(version: str) -> str:
    major_minor, _, patch = version.rpartition(".")
    return f"{major_minor}.{int(patch) + 1}" if patch.isdecimal() else version


@dataclass(frozen=True)
class _Put:
    body: Mapping[str, Any]
    settings: EmulatorSettings

    def field(self, name: str, kind: type, default: Any) -> Any:
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise _malformed(f"'{name}' has the wrong type")
        return value

    def executable(self) -> Exec | None:
        fields = self.field("exec", dict, None)
        if fields is None:
            return None
        if not isinstance(fields.get("kind"), str):
            raise _malformed("'kind' must be a string defined in 'exec'")
        asked = fields["kind"].strip().lower()
        kind = _DEFAULT_KINDS.get(asked, asked)
        if kind not in KINDS:
            raise _malformed(messages.unknown_kind(asked, (*KINDS, *_DEFAULT_KINDS)))
        code, main = fields.get("code"), fields.get("main")
        if not isinstance(code, str):
            raise _malformed(f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions")
        if not isinstance(main, str | None):
            raise _malformed(f"if defined, 'main' be a string in 'exec' for '{kind}' actions")
        _check_size("exec", _bytes(code) + _bytes(main or ""), self.settings.max_code_bytes)
        return Exec(kind=kind, code=code, binary=_is_base64(code), main=main)

    def key_values(self, name: str) -> dict[str, Parameter] | None:
        items = self.field(name, list, None)
        if items is None:
            return None
        if not all(isinstance(i, dict) and isinstance(i.get("key"), str) and "value" in i for i in items):
            raise _malformed(f"{name} malformed!")
        parameters = {item["key"]: Parameter(item["value"], bool(item.get("init", False))) for item in items}
        size = sum(_bytes(key) + _bytes(json.dumps(p.value)) for key, p in parameters.items())
        _check_size(name, size, self.settings.max_parameters_bytes)
        return parameters

    def limits(self, old: Limits | None) -> Limits:
        limits, given = self.settings, self.field("limits", dict, {})
        default = old or Limits(limits.timeout_default_ms, limits.memory_default_mb, limits.logs_default_mb)

        def limit(key: str, what: str, unit: str, allowed: tuple[int, int]) -> int:
            value = given.get(key, getattr(default, key))
            if not isinstance(value, int) or isinstance(value, bool):
                raise _malformed(f"{what} limit must be whole number")
            for threshold, outside in ((allowed[0], value < allowed[0]), (allowed[1], value > allowed[1])):
                if outside:
                    raise ApiError(400, messages.outside_threshold(what, value, unit, threshold))
            return value

        return Limits(
            timeout=limit("timeout", "duration", " milliseconds", (limits.timeout_min_ms, limits.timeout_max_ms)),
            memory=limit("memory", "memory size", " MB", (limits.memory_min_mb, limits.memory_max_mb)),
            logs=limit("logs", "log size", " MB", (0, limits.logs_max_mb)),
            concurrency=limit("concurrency", "concurrency", "", (1, 1)),
        )


def _malformed(reason: str) -> ApiError:
    return ApiError(400, messages.malformed_content(reason))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))  # JSON may hold halves of a pair


def _check_size(what: str, size: int, allowed: int) -> None:
    if size > allowed:
        raise ApiError(413, messages.too_big(what, size, allowed))


def _is_base64(code: str) -> bool:
    """OpenWhisk looks at the code itself; the ``binary`` that a client sends plays no part."""
    stripped = code.strip()
    try:
        return bool(stripped) and bool(base64.b64decode(stripped, validate=True))
    except (binascii.Error, ValueError):
        return False
