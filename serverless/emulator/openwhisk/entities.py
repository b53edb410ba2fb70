"""Actions and packages: their code, limits and parameters, and the JSON that OpenWhisk shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serverless.emulator.containers.workload import Limits

BINDING = "binding"  # the annotation by which lists show what a package is bound to
NAMESPACE = "guest"  # the one namespace, and its subject, of OpenWhisk's standalone server
PROVIDE_API_KEY = "provide-api-key"


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


@dataclass(frozen=True)
class Package:
    """One version of a package, or of a binding.

    Parameters
    ----------
    binding
        Name of the package that this one is a binding to; None for a package of its own.
    updated
        When it was put, milliseconds since the epoch.
    """

    name: str
    updated: int
    binding: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    annotations: Mapping[str, Parameter] = field(default_factory=dict)
    version: str = "0.0.1"
    publish: bool = False

    @property
    def bound(self) -> dict[str, str]:
        """What it is bound to, as OpenWhisk shows it; empty for a package of its own."""
        return {} if self.binding is None else {"namespace": NAMESPACE, "name": self.binding}

    def _common(self) -> dict[str, Any]:
        return {
            "namespace": NAMESPACE,
            "name": self.name,
            "version": self.version,
            "publish": self.publish,
            "annotations": key_values(self.annotations),
            "updated": self.updated,
        }

    def summary(self) -> dict[str, Any]:
        """Return the entry of a list of packages."""
        return self._common() | {BINDING: self.bound or False}

    def to_json(self) -> dict[str, Any]:
        """Return the package without what is in it."""
        return self._common() | {BINDING: self.bound, "parameters": key_values(self.parameters)}

    def with_actions(self, actions: Sequence[Action]) -> dict[str, Any]:
        """Return the package with a summary of each of its actions; those annotated as feeds are listed apart."""
        shown: dict[str, list[dict[str, Any]]] = {"actions": [], "feeds": []}
        for action in actions:
            word = {"name": action.name, "version": action.version, "annotations": key_values(action.annotations)}
            shown["feeds" if "feed" in action.annotations else "actions"].append(word)
        return self.to_json() | shown
