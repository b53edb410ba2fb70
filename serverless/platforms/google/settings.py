"""Which project of Google Cloud, and how its functions are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from serverless.platforms.settings import PlatformSettings

AUTH_ENV = "GOOGLE_APPLICATION_CREDENTIALS"
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
class GoogleSettings(PlatformSettings):
    """Google Cloud Functions (2nd gen), or the embedded server.

    ``auth_env`` is the variable that google-auth reads: it holds the path of a credentials file. ``max_containers`` is
    ``maxInstanceCount``.

    Parameters
    ----------
    project, location
        Where the functions are, such as ``my-project`` and ``europe-west3``.
    deploy_timeout_s
        Seconds that a deployment may take; Google builds an image each time.
    destroy_after_s
        Embedded server only: idle seconds before an instance is ended.
    """

    name: ClassVar[str] = "google"

    auth_env: str = AUTH_ENV
    project: str = "embedded"
    location: str = "local"
    deploy_timeout_s: float = 900.0
    destroy_after_s: float = 900.0

    @property
    def parent(self) -> str:
        """The location's resource name."""
        return f"projects/{self.project}/locations/{self.location}"
