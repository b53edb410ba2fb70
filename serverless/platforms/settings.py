"""What the settings of every platform have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal


@dataclass(frozen=True)
class Pace:
    """The speed of a local platform's containers.

    Parameters
    ----------
    cpu_share
        Of a core that each container may have; ``None``: as much as there is.
    cpu_enforcement
        ``cgroup``: a quota of the kernel. ``simulated``: answers wait. ``auto``: the first of these that works.
    cold_start_delay_s
        Seconds that the start of a container takes longer than it does here.
    """

    cpu_share: float | None = None
    cpu_enforcement: Literal["auto", "cgroup", "simulated"] = "auto"
    cold_start_delay_s: float = 0.0

    def for_emulator(self) -> dict[str, Any]:
        """Return the settings of an embedded server that it stands for."""
        return {
            "cpu_share": self.cpu_share,
            "cpu_enforcement": self.cpu_enforcement,
            "cold_start_delay_s": self.cold_start_delay_s or None,
        }


@dataclass(frozen=True)
class PlatformSettings:
    """Which deployment of a platform, and how it is reached.

    Each platform has a subclass in the ``settings`` module of its folder. The fields that the subclass adds are the
    platform's own keys in ``conf/platform/NAME.yaml``.

    Parameters
    ----------
    api_host
        Address of a real deployment; ``None`` starts the embedded server for the run.
    auth_env
        Name of the environment variable with the credential; the embedded server makes a key of its own.
    verify_tls, ca_file
        Whether certificates are checked, and a private authority to trust instead of certifi's.
    functions_ca_file
        PEM file of a private authority that the functions trust when they reach the object store; it is shipped with
        their code. ``None`` leaves it to their image.
    request_timeout_s
        Seconds to wait for an answer, beyond a function's own time limit; also how long a platform that is away or busy
        is asked again where that does no harm.
    max_containers
        The most containers of one function, each for one request at a time, where the platform has such a limit.
    pool_memory_mb
        Embedded server only: memory of all containers together, MiB.
    pace
        Embedded server only: how fast its containers are.
    """

    name: ClassVar[str]

    api_host: str | None = None
    auth_env: str = ""
    verify_tls: bool = True
    ca_file: Path | None = None
    functions_ca_file: Path | None = None
    request_timeout_s: float = 30.0
    max_containers: int = 2
    pool_memory_mb: int = 3072
    pace: Pace = field(default_factory=Pace)
