"""A function that is deployed for the time of the check, with the limits that the experiment's functions have."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Unpack

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
        return self.platform.invoke(function, dict(params))


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
