"""Which OpenFaaS, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from serverless.platforms.embedded import Pace


@dataclass(frozen=True)
class OpenFaasSettings:
    """An OpenFaaS gateway, or the embedded one.

    Parameters
    ----------
    api_host
        Address of the gateway, such as ``https://gateway.example.org``; ``None`` starts the embedded one for the run.
    auth_env
        Name of the environment variable that holds ``user:password``; not used by the embedded gateway.
    image
        Image of the functions, with ``{function}`` where their name goes, such as
        ``registry.example.org/serverless-fl-{function}:1``; OpenFaaS cannot be sent code. Not for the embedded gateway,
        which is sent the code itself.
    verify_tls, ca_file
        Whether certificates are checked, and a private authority to trust instead of certifi's.
    functions_ca_file
        Embedded gateway only, where the code is shipped: PEM file of the authority that functions trust.
    request_timeout_s
        Seconds to wait for an answer, beyond a function's own time limit.
    replicas
        The most replicas of a function (``com.openfaas.scale.max``), each for one request at a time (``max_inflight``).
    callback_host
        ``HOST`` or ``HOST:PORT`` of this machine as the gateway reaches it: functions are then invoked asynchronously
        and post their answers back. ``None``: synchronously, through a gateway whose own time-outs must be long enough.
    pool_memory_mb, destroy_after_s
        Embedded gateway only: memory of all replicas together, MiB, and idle seconds before one is ended.
    pace
        Embedded only: how fast its containers are.
    """

    name: ClassVar[str] = "openfaas"

    api_host: str | None = None
    auth_env: str = "OPENFAAS_AUTH"
    image: str | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    functions_ca_file: Path | None = None
    request_timeout_s: float = 30.0
    replicas: int = 2
    callback_host: str | None = None
    pool_memory_mb: int = 3072
    destroy_after_s: float = 600.0
    pace: Pace = field(default_factory=Pace)
