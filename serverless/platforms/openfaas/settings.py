"""Which OpenFaaS, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from serverless.platforms.settings import PlatformSettings


@dataclass(frozen=True)
class OpenFaasSettings(PlatformSettings):
    """An OpenFaaS gateway, or the embedded one; ``auth_env`` names the variable that holds ``user:password``.

    ``max_containers`` is ``com.openfaas.scale.max``, with ``max_inflight`` 1. ``functions_ca_file`` has an effect on
    the embedded gateway only, where the code is shipped.

    Parameters
    ----------
    image
        Image of the functions, with ``{function}`` where their name goes, such as
        ``registry.example.org/serverless-fl-{function}:1``; OpenFaaS cannot be sent code. Not for the embedded gateway,
        which is sent the code itself.
    callback_host
        ``HOST`` or ``HOST:PORT`` of this machine as the gateway reaches it: functions are then invoked asynchronously
        and post their answers back. ``None``: synchronously, through a gateway whose own time-outs must be long enough.
    destroy_after_s
        Embedded gateway only: idle seconds before a replica is ended.
    """

    name: ClassVar[str] = "openfaas"

    auth_env: str = "OPENFAAS_AUTH"
    image: str | None = None
    callback_host: str | None = None
    destroy_after_s: float = 600.0
