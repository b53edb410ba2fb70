"""One invocation, and the bodies that are sent into the container for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from machine.clocks import now
from serverless.emulator.openwhisk.entities import NAMESPACE, PROVIDE_API_KEY, Action


@dataclass(frozen=True)
class Invocation:
    """An action that is to be run, and its arguments.

    Parameters
    ----------
    action
        With the parameters of its package and binding.
    arguments
        Default parameters with the caller's merged over them.
    transaction_id
        The request's.
    api_key
        The server's key; the function sees it only if its action asks for it.
    binding
        The package binding that the action is invoked through, if any.
    arrived_at
        When the request came, seconds since the epoch by :func:`machine.clocks.now`.
    """

    activation_id: str
    action: Action
    arguments: Mapping[str, Any]
    transaction_id: str
    api_key: str = field(repr=False)
    binding: str | None = None
    arrived_at: float = field(default_factory=now)

    def init_body(self) -> dict[str, Any]:
        """Return the body of ``POST /init``: the code, and the environment it is loaded in."""
        environment = {key: _as_text(value) for key, value in self.arguments.items() if self._is_init(key)}
        environment |= {f"__OW_{key.upper()}": value for key, value in self._context().items()}
        executable = self.action.exec
        value = {
            "name": self.action.name,
            "main": executable.main or "main",
            "code": executable.code,
            "binary": executable.binary,
            "env": environment,
        }
        return {"value": value}

    def run_body(self) -> dict[str, Any]:
        """Return the body of ``POST /run``: the arguments, and what becomes ``__OW_*`` variables."""
        arguments = {key: value for key, value in self.arguments.items() if not self._is_init(key)}
        return {"value": arguments, **self._context()}

    def _is_init(self, key: str) -> bool:
        parameter = self.action.parameters.get(key)
        return parameter is not None and parameter.init

    def _context(self) -> dict[str, str]:
        action = self.action
        context = {
            "namespace": NAMESPACE,
            "action_name": f"/{action.full_name}",
            "action_version": action.version,
            "activation_id": self.activation_id,
            "transaction_id": self.transaction_id,
            "deadline": str(int(now() * 1000) + action.limits.timeout),
        }
        return context | ({"api_key": self.api_key} if action.is_annotated(PROVIDE_API_KEY, if_missing=True) else {})


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"))
