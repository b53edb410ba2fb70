"""Starts the embedded server for a platform that is not a cluster's or a cloud's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from serverless.platforms.function_environment import link_environment
from serverless.platforms.function_zip import IMPORTED
from serverless.platforms.settings import PlatformSettings

if TYPE_CHECKING:
    from serverless.emulator.launcher import EmulatorHandle


@contextmanager
def start_embedded(
    settings: PlatformSettings, log_path: Path, packages: Sequence[str] = (), **limits: Any
) -> Iterator[EmulatorHandle]:
    """Run an embedded server with the API of one platform for the time of the context.

    Its containers can import what the functions' image has, and nothing else that is installed here.

    Parameters
    ----------
    packages
        What the platform's own program in a container imports besides.
    limits
        Further settings of the server, see :class:`serverless.emulator.settings.EmulatorSettings`.
    """
    from serverless.emulator.launcher import start_emulator  # noqa: PLC0415 - a cluster does not need it
    from serverless.emulator.settings import EmulatorSettings  # noqa: PLC0415
    from task.engines.runtime import arithmetic  # noqa: PLC0415

    with TemporaryDirectory(prefix="functions-") as folder:
        embedded = EmulatorSettings(
            pool_memory_mb=settings.pool_memory_mb,
            memory_max_mb=settings.pool_memory_mb,
            python=str(link_environment(Path(folder), (*IMPORTED, *packages))),
            container_env=arithmetic(os.environ),
            **settings.pace.for_emulator(),
            **limits,
        )
        with start_emulator(embedded, log_path, (settings.name,)) as server:
            yield server
