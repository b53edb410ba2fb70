"""Which OpenWhisk, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from serverless.platforms.settings import PlatformSettings


@dataclass(frozen=True)
class OpenWhiskSettings(PlatformSettings):
    """An OpenWhisk deployment, or the embedded server; ``auth_env`` names the variable that holds ``uuid:key``.

    Parameters
    ----------
    namespace
        ``_`` is the one that the key belongs to.
    blocking_s
        Seconds that the platform is asked to hold an invocation's answer back for the function's end; then it answers
        202, and the record is asked for. OpenWhisk's limit is 60.
    invocations_per_minute, concurrent_invocations
        Embedded server only: its rates, which a cluster for such work raises in the same way.
    """

    name: ClassVar[str] = "openwhisk"

    auth_env: str = "OPENWHISK_AUTH"
    namespace: str = "_"
    blocking_s: float = 60.0
    invocations_per_minute: int = 6000
    concurrent_invocations: int = 200
