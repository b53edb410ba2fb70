"""Starts the embedded server for a platform that is not a cluster's or a cloud's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from serverless.pace import Pace

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
    from task.runtime import arithmetic  # noqa: PLC0415

    settings = EmulatorSettings(
        pool_memory_mb=pool_memory_mb,
        memory_max_mb=pool_memory_mb,
        destroy_after_s=destroy_after_s,
        container_env=arithmetic(os.environ),
        **(pace or Pace()).for_emulator(),
    )
    with start_emulator(settings, log_path, (platform,)) as server:
        yield server
