"""Starts the embedded server for a platform that is not a cluster's or a cloud's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from serverless.emulator.launcher import EmulatorHandle


@contextmanager
def start_embedded(
    platform: str, pool_memory_mb: int, destroy_after_s: float, log_path: Path, pace: Pace | None = None
) -> Iterator[EmulatorHandle]:
    """Run an embedded server with one platform's front door for the time of the context.

    Parameters
    ----------
    pool_memory_mb
        Of all containers together, MiB.
    destroy_after_s
        Idle seconds after which a container is ended: a function without work scales to zero.
    pace
        How fast its containers are.
    """
    from serverless.emulator.launcher import start_emulator  # noqa: PLC0415 - a cluster does not need it
    from serverless.emulator.settings import EmulatorSettings  # noqa: PLC0415
    from task.engines.runtime import arithmetic  # noqa: PLC0415

    settings = EmulatorSettings(
        pool_memory_mb=pool_memory_mb,
        memory_max_mb=pool_memory_mb,
        destroy_after_s=destroy_after_s,
        container_env=arithmetic(os.environ),
        **(pace or Pace()).for_emulator(),
    )
    with start_emulator(settings, log_path, (platform,)) as server:
        yield server


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
