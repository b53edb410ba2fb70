"""Reads the fields that the bodies of PUT requests for actions and packages have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.entities import Parameter
from serverless.emulator.rest import ApiError
from serverless.emulator.settings import EmulatorSettings

FIRST_VERSION = "0.0.1"
_VERSION_PARTS = 3
_PART = re.compile(r"\+?\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class PutBody:
    """A body of a PUT, read field by field; every method raises :class:`ApiError` for what it cannot read.

    Parameters
    ----------
    body
        The JSON object.
    settings
        Limits of sizes.
    """

    body: Mapping[str, Any]
    settings: EmulatorSettings

    def field(self, name: str, kind: type, default: Any) -> Any:
        """Return a field of JSON type ``kind``; null counts as a missing field."""
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise malformed(f"'{name}' has the wrong type")
        return value

    def key_values(self, name: str) -> dict[str, Parameter] | None:
        """Return parameters or annotations, a list of ``{"key", "value"}``; None if there are none."""
        items = self.field(name, list, None)
        if items is None:
            return None
        if not all(_is_key_value(item) for item in items):
            raise malformed("parameters malformed!")  # OpenWhisk's word for annotations as well
        parameters = {item["key"]: Parameter(item["value"], item.get("init", False)) for item in items}
        size = sum(size_of(key) + size_of(json.dumps(p.value)) for key, p in parameters.items())
        check_size(name, size, self.settings.max_parameters_bytes)
        return parameters

    def version(self, old: str | None) -> str:
        """Return the version of the body; else the one after ``old``; else the first."""
        given = self.body.get("version")
        if given is not None:
            return _semantic_version(given)
        if old is None:
            return FIRST_VERSION
        major_minor, _, patch = old.rpartition(".")
        return f"{major_minor}.{int(patch) + 1}"


def malformed(reason: str) -> ApiError:
    """Return the refusal of a body that cannot be read."""
    return ApiError(400, messages.malformed_content(reason))


def size_of(text: str) -> int:
    """Return the length of ``text`` in UTF-8, bytes."""
    return len(text.encode("utf-8", "surrogatepass"))  # JSON may hold halves of a pair


def check_size(what: str, size: int, allowed: int) -> None:
    """Refuse what is larger than allowed; sizes in bytes.

    Raises
    ------
    ApiError
        413 if it is.
    """
    if size > allowed:
        raise ApiError(413, messages.too_big(what, size, allowed))


def _is_key_value(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("key"), str)
        and "value" in item
        and isinstance(item.get("init", False), bool)
    )


def _semantic_version(given: object) -> str:
    """Return ``major.minor.patch``; OpenWhisk fills up what is left out with zeros and does not take 0.0.0."""
    parts = given.split(".")[:_VERSION_PARTS] if isinstance(given, str) else []
    if not parts or not all(_PART.fullmatch(part) for part in parts):
        raise malformed("semantic version malformed")
    numbers = [int(part) for part in parts] + [0] * (_VERSION_PARTS - len(parts))
    if not any(numbers):
        raise malformed("semantic version malformed")
    return ".".join(map(str, numbers))
