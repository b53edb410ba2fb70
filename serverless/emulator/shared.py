"""What the APIs of one embedded server have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aiohttp

from serverless.emulator.containers.pool import ContainerPool
from serverless.emulator.settings import EmulatorSettings


@dataclass(frozen=True)
class Shared:
    """What the APIs of a server share.

    Parameters
    ----------
    settings, auth
        Limits, and the key that every API accepts.
    pool, http, directory
        The containers, the client for them, and where code is unpacked.
    """

    settings: EmulatorSettings
    auth: str
    pool: ContainerPool
    http: aiohttp.ClientSession
    directory: Path
