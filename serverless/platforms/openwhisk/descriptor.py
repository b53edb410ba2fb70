"""OpenWhisk as the registry knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from serverless.platforms.descriptor import PlatformDescriptor, Problem
from serverless.platforms.openwhisk.settings import OpenWhiskSettings

if TYPE_CHECKING:
    from serverless.platforms.protocol import FunctionSpec

_BLOCKING_MAX_S = 60.0  # apache/openwhisk, docs/rest_api.md


def _check(settings: OpenWhiskSettings, functions: Sequence[FunctionSpec]) -> Iterator[Problem]:
    if settings.blocking_s > _BLOCKING_MAX_S:
        yield "blocking_s", f"OpenWhisk waits {_BLOCKING_MAX_S:g} seconds at most"


DESCRIPTOR = PlatformDescriptor(
    OpenWhiskSettings,
    opens="serverless.platforms.openwhisk.deploy:open_platform",
    check=_check,
    functions_may_invoke=True,
    examines="serverless.preflight.checklist:examine",
)
