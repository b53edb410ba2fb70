"""A package: parameters that its actions share; or a binding, which adds its own to those of another package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serverless.emulator.action import NAMESPACE, Action, Parameter, key_values

BINDING = "binding"  # the annotation that tells clients of a list what is bound


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
        """Return the package with a word on each of its actions; those annotated as feeds are apart."""
        shown: dict[str, list[dict[str, Any]]] = {"actions": [], "feeds": []}
        for action in actions:
            word = {"name": action.name, "version": action.version, "annotations": key_values(action.annotations)}
            shown["feeds" if "feed" in action.annotations else "actions"].append(word)
        return self.to_json() | shown
