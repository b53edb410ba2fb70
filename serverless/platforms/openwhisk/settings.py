"""Which OpenWhisk, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from serverless.platforms.embedded import Pace


@dataclass(frozen=True)
class OpenWhiskSettings:
    """An OpenWhisk deployment, or the embedded server.

    Parameters
    ----------
    api_host
        Address such as ``https://openwhisk.example.org``; ``None`` starts the embedded server for the run.
    auth_env
        Name of the environment variable that holds ``uuid:key``; not used by the embedded server, which makes its own.
    namespace
        ``_`` is the one that the key belongs to.
    verify_tls, ca_file
        Whether certificates are checked, and a private authority to trust instead of certifi's.
    functions_ca_file
        PEM file of a private authority that the functions trust when they reach the object store; it is shipped with
        their code. ``None`` leaves it to their image.
    request_timeout_s
        Seconds to wait for an answer, beyond a function's own time limit; also how long a platform that is away or busy
        is asked again where that does no harm.
    blocking_s
        Seconds that the platform is asked to hold an invocation's answer back for the function's end; then it answers
        202, and the record is asked for. OpenWhisk's limit is 60.
    pool_memory_mb
        Embedded server only: memory of all containers together, MiB.
    invocations_per_minute, concurrent_invocations
        Embedded server only: its rates, which a cluster for such work raises in the same way.
    pace
        Embedded only: how fast its containers are.
    """

    name: ClassVar[str] = "openwhisk"

    api_host: str | None = None
    auth_env: str = "OPENWHISK_AUTH"
    namespace: str = "_"
    verify_tls: bool = True
    ca_file: Path | None = None
    functions_ca_file: Path | None = None
    request_timeout_s: float = 30.0
    blocking_s: float = 60.0
    pool_memory_mb: int = 3072
    invocations_per_minute: int = 6000
    concurrent_invocations: int = 200
    pace: Pace = field(default_factory=Pace)
