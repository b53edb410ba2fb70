"""What the containers of a server share, and the environment that each of them starts with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from machine import clocks
from serverless.emulator.containers.cpu_shares import CpuEnforcer
from serverless.emulator.containers.memory_limits import MemoryEnforcer
from serverless.emulator.containers.workload import Workload
from serverless.emulator.settings import EmulatorSettings

# Like a container in a cluster, it sees only the part of the machine's environment that programs need to start.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


@dataclass(frozen=True)
class ContainerHost:
    """What all containers of a server share.

    Parameters
    ----------
    settings
        Interpreter, environment and result limit.
    memory, cpu
        What enforces memory limits and shares of a core.
    http
        The client for the containers' loopback ports.
    directory
        Where each container gets its working directory.
    api_host
        The server's own address, for ``__OW_API_HOST``.
    """

    settings: EmulatorSettings
    memory: MemoryEnforcer
    cpu: CpuEnforcer
    http: aiohttp.ClientSession
    directory: Path
    api_host: str

    def environment(self, action: Workload, home: Path) -> dict[str, str]:
        """Return the whole environment of a container."""
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONIOENCODING": "utf-8",
            clocks.VARIABLE: clocks.name(),
            "FL_PROCESS_ROLE": action.path.rstrip("-0123456789"),  # functions of one kind, numbered, are one role
            "__OW_API_HOST": self.api_host,
            **self.settings.container_env,
        }
