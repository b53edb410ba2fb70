"""OpenFaaS as the registry knows it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from serverless.platforms.descriptor import PlatformDescriptor, Problem
from serverless.platforms.openfaas.settings import OpenFaasSettings

if TYPE_CHECKING:
    from serverless.platforms.protocol import FunctionSpec


def _check(settings: OpenFaasSettings, functions: Sequence[FunctionSpec]) -> Iterator[Problem]:
    if settings.image is not None and "{function}" not in settings.image:
        yield "image", "must have {function} where the function's name goes"
    if settings.callback_host is not None and not re.fullmatch(r"[^:/@\s]+(:\d{1,5})?", settings.callback_host):
        yield "callback_host", "must be HOST or HOST:PORT of this machine"


DESCRIPTOR = PlatformDescriptor(
    OpenFaasSettings,
    opens="serverless.platforms.openfaas.deploy:open_platform",
    needed_with_address={"image": "the functions' image, with {function} for their names"},
    check=_check,
)
