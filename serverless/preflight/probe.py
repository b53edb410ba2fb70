"""A function that is deployed for the time of the check, with the limits that the experiment's functions have."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Unpack

from machine.json_values import is_number
from metrics.collect.row_types import RUBBISH_ANSWER
from serverless.functions.messages import PreflightParams
from serverless.platforms.openwhisk.deploy import OpenWhisk
from serverless.platforms.protocol import FunctionSpec, Invocation

WRAPPER = "preflight"


@dataclass(frozen=True)
class Probe:
    """The probe under a name of its own, so that no function of anybody's is replaced."""

    platform: OpenWhisk
    name: str

    def deploy(self, like: FunctionSpec) -> FunctionSpec:
        """Deploy it with another function's limits.

        Raises
        ------
        PlatformError
            If the deployment does not allow them; it says which.
        """
        function = replace(like, name=self.name)
        self.platform.deploy(function, wrapper=WRAPPER)
        return function

    def invoke(self, function: FunctionSpec, **params: Unpack[PreflightParams]) -> Invocation:
        """Invoke it; see :mod:`serverless.functions.preflight`."""
        invocation = self.platform.invoke(function, dict(params))
        if invocation.result is None or not (wrong := _wrong(invocation.result, params)):
            return invocation
        error = f"an answer whose {', '.join(wrong)} cannot be read"
        return replace(invocation, result=None, error_kind=RUBBISH_ANSWER, error=error)


def _wrong(answer: Mapping[str, Any], asked: PreflightParams) -> list[str]:
    """Return which parts of an answer are not what :class:`PreflightAnswer` says."""
    numbers = ["started_at", "ended_at", "peak_memory_bytes", *(["import_s"] if "imports" in asked else [])]
    wrong = [name for name in numbers if not is_number(answer.get(name))]
    if "imports" in asked:
        wrong += [] if isinstance(answer.get("python"), str) else ["python"]
        packages = answer.get("packages")
        found = [packages.get(name) if isinstance(packages, dict) else None for name in asked["imports"]]
        wrong += [] if all(map(_is_package, found)) else ["packages"]
    return wrong + ([] if isinstance(answer.get("transfer_error", ""), str) else ["transfer_error"])


def _is_package(found: object) -> bool:
    return isinstance(found, dict) and isinstance(found.get("error", found.get("version")), str)


@contextmanager
def probing(platform: OpenWhisk) -> Iterator[Probe]:
    """Yield a probe, and remove it whatever happens.

    Raises
    ------
    PlatformError
        If it cannot be removed; the message names it.
    """
    probe = Probe(platform, f"{WRAPPER}-{secrets.token_hex(4)}")
    try:
        yield probe
    finally:
        platform.remove(probe.name)
