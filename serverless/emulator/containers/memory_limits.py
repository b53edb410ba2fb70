"""How the memory limits of containers are enforced: by cgroups where they can be written, else by a watchdog."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Protocol

import psutil

from serverless.emulator.containers.cgroups import memory_groups
from serverless.emulator.settings import MemoryEnforcement

_WATCH_INTERVAL_S = 0.05


class MemoryLimit(Protocol):
    """The memory limit of one container."""

    def admit(self, pid: int) -> None:
        """Put the container's process under the limit."""

    def exhausted(self) -> bool:
        """Whether the container was killed for its memory."""

    async def remove(self) -> None:
        """Remove what the limit has made; the container has ended."""


class MemoryEnforcer(Protocol):
    """Makes memory limits."""

    @property
    def name(self) -> str:
        """``cgroup-v1``, ``cgroup-v2`` or ``watchdog``."""

    def create(self, name: str, limit_bytes: int) -> MemoryLimit:
        """Return a limit for a container that is about to start."""

    async def close(self) -> None:
        """Remove what the enforcer has made; all containers have ended."""


class WatchedLimit:
    """Reads the memory of a container's processes, and kills their process group when it is too large.

    A function may be above its limit for up to 50 ms. For one process its resident set counts; for several processes
    their proportional sets, because a server and the worker that it forked share most of their pages.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._exhausted = False
        self._task: asyncio.Task[None] | None = None

    def admit(self, pid: int) -> None:
        """Begin to watch."""
        self._task = asyncio.get_running_loop().create_task(self._watch(pid))

    def exhausted(self) -> bool:
        """Whether the watchdog has killed the container."""
        return self._exhausted

    async def remove(self) -> None:
        """Stop watching."""
        if self._task:
            self._task.cancel()

    async def _watch(self, pid: int) -> None:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            process = psutil.Process(pid)
            while _memory_bytes(process) <= self._limit_bytes:
                await asyncio.sleep(_WATCH_INTERVAL_S)
            self._exhausted = True
            os.killpg(pid, signal.SIGKILL)


def _memory_bytes(process: psutil.Process) -> int:
    """Return the memory of a process and of those that it started, bytes."""
    total = int(process.memory_info().rss)
    children = process.children(recursive=True)
    if not children:
        return total
    total = 0
    for one in (process, *children):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += int(one.memory_full_info().pss)
    return total


class Watchdog:
    """Enforces limits without cgroups."""

    name = "watchdog"

    def create(self, name: str, limit_bytes: int) -> WatchedLimit:
        """Return a limit for a container that is about to start."""
        return WatchedLimit(limit_bytes)

    async def close(self) -> None:
        """Do nothing: each watch has ended with its container."""


def memory_enforcer(wanted: MemoryEnforcement) -> MemoryEnforcer:
    """Return what enforces memory limits here.

    Raises
    ------
    OSError
        If ``wanted`` is ``cgroup`` and no memory cgroup can be written.
    """
    if wanted == "watchdog":
        return Watchdog()
    groups = memory_groups()
    if groups is None and wanted == "cgroup":
        raise OSError(
            "memory_enforcement=cgroup, but no memory cgroup can be written here: run with the rights to do so, "
            "or choose auto or watchdog"
        )
    return groups or Watchdog()
