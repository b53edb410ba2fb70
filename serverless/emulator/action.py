"""An action: its code, its limits and its parameters, and how OpenWhisk shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

NAMESPACE = "guest"  # the one namespace, and its subject, of OpenWhisk's standalone server
PROVIDE_API_KEY = "provide-api-key"


@dataclass(frozen=True)
class Limits:
    """Limits of one action: milliseconds, MiB, MiB, activations at once in one container, containers.

    The last two are kept and shown, as by an OpenWhisk whose Python image takes one activation at a time and that
    has no scheduler service: they change nothing.
    """

    timeout: int
    memory: int
    logs: int
    concurrency: int = 1
    instances: int | None = None

    def to_json(self) -> dict[str, int]:
        """Return OpenWhisk's ``limits`` object."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Exec:
    """The code of an action; ``binary`` code is a base64 zip."""

    kind: str
    code: str
    binary: bool
    main: str | None = None

    def to_json(self, *, code: bool) -> dict[str, Any]:
        """Return OpenWhisk's ``exec`` object, with or without the code."""
        shown = {"kind": self.kind, "code": self.code, "binary": self.binary, "main": self.main}
        if not code:
            del shown["code"]
        if self.main is None:
            del shown["main"]
        return shown


@dataclass(frozen=True)
class Parameter:
    """A default value; with ``init`` it is an environment variable of the container instead of an argument."""

    value: Any
    init: bool = False


def key_values(parameters: Mapping[str, Parameter]) -> list[dict[str, Any]]:
    """Return parameters or annotations as OpenWhisk lists them."""
    return [
        {"key": key, "value": parameter.value} | ({"init": True} if parameter.init else {})
        for key, parameter in parameters.items()
    ]


@dataclass(frozen=True)
class Action:
    """One version of an action.

    Parameters
    ----------
    path
        ``NAME`` or ``PACKAGE/NAME``.
    revision
        Differs between any two actions that were ever put; containers are reused within one revision.
    updated
        When it was put, milliseconds since the epoch.
    """

    path: str
    exec: Exec
    limits: Limits
    revision: int
    updated: int
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    annotations: Mapping[str, Parameter] = field(default_factory=dict)
    version: str = "0.0.1"
    publish: bool = False

    @property
    def name(self) -> str:
        """The name without its package."""
        return self.path.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        """The namespace, with the package if there is one."""
        return f"{NAMESPACE}/{self.path}".rpartition("/")[0]

    @property
    def full_name(self) -> str:
        """Namespace, package and name."""
        return f"{NAMESPACE}/{self.path}"

    def is_annotated(self, key: str, *, if_missing: bool = False) -> bool:
        """Whether an annotation is truthy: neither false, nor null, 0 or the empty string."""
        if key not in self.annotations:
            return if_missing
        value = self.annotations[key].value
        return bool(value) or isinstance(value, list | dict)

    def summary(self) -> dict[str, Any]:
        """Return the entry of a list of actions."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "publish": self.publish,
            "annotations": key_values(self.annotations),
            "updated": self.updated,
            "limits": self.limits.to_json(),
            "exec": {"binary": self.exec.binary},
        }

    def to_json(self, *, code: bool = True) -> dict[str, Any]:
        """Return the whole action, with or without its code."""
        return self.summary() | {
            "exec": self.exec.to_json(code=code),
            "parameters": key_values(self.parameters),
        }
