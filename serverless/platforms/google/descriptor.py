"""Google Cloud Functions as the registry knows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from serverless.platforms.descriptor import PlatformDescriptor, Problem
from serverless.platforms.google.settings import AUTH_ENV, TIMEOUT_MAX_S, VCPUS, GoogleSettings

if TYPE_CHECKING:
    from serverless.platforms.protocol import FunctionSpec


def _check(settings: GoogleSettings, functions: Sequence[FunctionSpec]) -> Iterator[Problem]:
    if settings.auth_env != AUTH_ENV:
        yield "auth_env", f"google-auth reads {AUTH_ENV}"
    for function in functions:
        if function.memory_mb > max(VCPUS):
            yield f"{function.name}.memory_mb", f"Google has functions of up to {max(VCPUS)} MB"
        if function.timeout_s > TIMEOUT_MAX_S:
            yield f"{function.name}.timeout_s", f"Google allows {TIMEOUT_MAX_S} seconds at most"


DESCRIPTOR = PlatformDescriptor(
    GoogleSettings,
    opens="serverless.platforms.google.deploy:open_platform",
    needed_with_address={"project": "the project's id", "location": "its region, such as europe-west3"},
    check=_check,
)
