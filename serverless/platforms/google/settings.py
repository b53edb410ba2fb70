"""Which project of Google Cloud, and how its functions are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from serverless.platforms.embedded import Pace

# Memory, MiB, to vCPUs that a function gets with it unless it asks for others: Google's table of limits (2nd gen),
# cloud.google.com/functions/docs/configuring/memory. 2 GiB is the least with a whole vCPU.
VCPUS = {128: 0.083, 256: 0.167, 512: 0.333, 1024: 0.583, 2048: 1.0, 4096: 2.0, 8192: 2.0, 16384: 4.0, 32768: 8.0}
TIMEOUT_MAX_S = 3600  # of an HTTP function, 2nd gen


def vcpus(memory_mb: int) -> float:
    """Return the vCPUs of a function with this much memory: those of the smallest tier that holds it.

    Raises
    ------
    ValueError
        If it is more than Google's largest.

    Examples
    --------
    >>> vcpus(1024), vcpus(2048), vcpus(1025)
    (0.583, 1.0, 1.0)
    """
    for tier_mb, count in VCPUS.items():
        if memory_mb <= tier_mb:
            return count
    raise ValueError(f"{memory_mb} MB: Google Cloud Functions have at most {max(VCPUS)} MB")


@dataclass(frozen=True)
class GoogleSettings:
    """Google Cloud Functions (2nd gen), or the embedded server.

    Parameters
    ----------
    api_host
        ``https://cloudfunctions.googleapis.com``; ``None`` starts the embedded server for the run.
    auth_env
        Name of the environment variable that google-auth reads: the path of a credentials file.
    project, location
        Where the functions are, such as ``my-project`` and ``europe-west3``.
    verify_tls, ca_file
        Whether certificates are checked, and a private authority to trust instead of certifi's.
    functions_ca_file
        PEM file of a private authority that the functions trust when they reach the object store; shipped with them.
    request_timeout_s
        Seconds to wait for an answer, beyond a function's own time limit.
    deploy_timeout_s
        Seconds that a deployment may take; Google builds an image each time.
    max_instances
        The most instances of a function; each takes one request at a time.
    pool_memory_mb, destroy_after_s
        Embedded server only: memory of all instances together, MiB, and idle seconds before one is ended.
    pace
        Embedded only: how fast its containers are.
    """

    name: ClassVar[str] = "google"

    api_host: str | None = None
    auth_env: str = "GOOGLE_APPLICATION_CREDENTIALS"
    project: str = "embedded"
    location: str = "local"
    verify_tls: bool = True
    ca_file: Path | None = None
    functions_ca_file: Path | None = None
    request_timeout_s: float = 30.0
    deploy_timeout_s: float = 900.0
    max_instances: int = 2
    pool_memory_mb: int = 3072
    destroy_after_s: float = 900.0
    pace: Pace = field(default_factory=Pace)

    @property
    def parent(self) -> str:
        """The location's resource name."""
        return f"projects/{self.project}/locations/{self.location}"
