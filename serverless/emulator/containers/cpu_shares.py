"""How containers are limited to a share of a core: by a quota of a cgroup where one can be written, else by waiting.

A quota slows a container down at every moment, also while it starts. Waiting is the fallback: an answer is delayed
until the call has taken as long as it would have on the share. Neither changes the learnt weights.
Kernel documentation: ``scheduler/sched-bwc.rst``, ``cgroup-v2.rst``.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from machine.cgroups import cgroup_folders
from serverless.emulator.containers.cgroups import Group, MemoryGroups, new_group, remove_abandoned
from serverless.emulator.containers.memory_limits import MemoryEnforcer, memory_enforcer
from serverless.emulator.settings import CpuEnforcement

_PREFIX = "fl-emulator-cpu-"
_PERIOD_US = 20_000  # the kernel's default is 100 ms: a short function would run at full speed until its first pause
_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


class CpuShare(Protocol):
    """The share of a core of one container."""

    def admit(self, pid: int) -> None:
        """Limit a process, with the children it will have, to the share."""

    def owed_s(self, took_s: float) -> float:
        """Return how many seconds a call that took ``took_s`` has yet to wait."""

    async def remove(self) -> None:
        """Remove what the share has made; the container has ended."""


class CpuEnforcer(Protocol):
    """Gives containers their shares."""

    @property
    def name(self) -> str:
        """``cgroup-v1`` or ``simulated``; ``none`` where every container may have a whole core and more."""

    def create(self, name: str) -> CpuShare:
        """Return the share of a container that is about to start."""

    async def close(self) -> None:
        """Remove what the enforcer has made; all containers have ended."""


@dataclass(frozen=True)
class Waiting:
    """A share by waiting: the time that a call took is what it would have taken with a whole core."""

    share: float
    name: str = "simulated"

    def create(self, name: str) -> Waiting:
        """See :class:`CpuEnforcer`."""
        return self

    def admit(self, pid: int) -> None:
        """See :class:`CpuShare`."""

    def owed_s(self, took_s: float) -> float:
        """See :class:`CpuShare`.

        Examples
        --------
        >>> Waiting(share=0.5).owed_s(3.0), Waiting(share=1.0).owed_s(3.0)
        (3.0, 0.0)
        """
        return took_s * (1 / self.share - 1)

    async def remove(self) -> None:
        """See :class:`CpuShare`."""

    async def close(self) -> None:
        """See :class:`CpuEnforcer`."""


class Quota(Group):
    """The group of one container, with a quota."""

    def owed_s(self, took_s: float) -> float:
        """See :class:`CpuShare`: the kernel has slowed it down already."""
        return 0.0


class Quotas:
    """Groups in version 1, one per container, below one of the server's own.

    Raises
    ------
    OSError
        If no CPU cgroup can be written here.
    """

    name = "cgroup-v1"

    def __init__(self, parent: Path, share: float) -> None:
        self._share = share
        remove_abandoned(parent, _PREFIX)
        self._path = parent / f"{_PREFIX}{os.getpid()}"
        with new_group(self._path):
            self.create("probe").path.rmdir()

    def create(self, name: str) -> Quota:
        """See :class:`CpuEnforcer`."""
        path = self._path / name
        with new_group(path):
            (path / _PERIOD).write_text(str(_PERIOD_US))
            (path / _QUOTA).write_text(str(round(self._share * _PERIOD_US)))
        return Quota(path)

    async def close(self) -> None:
        """See :class:`CpuEnforcer`."""
        await Group(self._path).remove()


@dataclass(frozen=True)
class SharedQuotas:
    """Quotas in version 2, where a process is in one group for all controllers: that of its memory limit."""

    path: Path
    share: float
    name: str = "cgroup-v2"

    def create(self, name: str) -> CpuShare:
        """See :class:`CpuEnforcer`; the container has its memory limit already."""
        (self.path / name / "cpu.max").write_text(f"{round(self.share * _PERIOD_US)} {_PERIOD_US}")
        return _BY_THE_KERNEL

    async def close(self) -> None:
        """See :class:`CpuEnforcer`: the groups are the memory limits'."""


_BY_THE_KERNEL = Waiting(1.0)  # no call has to wait


def cpu_enforcer(
    wanted: CpuEnforcement, share: float | None, memory: MemoryEnforcer, proc: Path = Path("/proc/self")
) -> CpuEnforcer:
    """Return what limits containers to ``share`` of a core on this machine; ``None`` is no limit.

    Parameters
    ----------
    memory
        What enforces their memory limits.

    Raises
    ------
    OSError
        If ``wanted`` is ``cgroup`` and no CPU cgroup can be written.
    """
    if share is None:
        return Waiting(1.0, "none")
    quotas = None if wanted == "simulated" else _quotas(share, memory, proc)
    if quotas is None and wanted == "cgroup":
        raise OSError(
            "cpu_enforcement=cgroup, but no CPU cgroup can be written here: run with the rights to do so, or choose "
            "auto or simulated"
        )
    return quotas or Waiting(share)


def _quotas(share: float, memory: MemoryEnforcer, proc: Path) -> CpuEnforcer | None:
    if isinstance(memory, MemoryGroups) and memory.name == "cgroup-v2":
        enabled = (memory.path / "cgroup.subtree_control").read_text().replace("+", "").split()
        return SharedQuotas(memory.path, share) if "cpu" in enabled else None
    for folder in cgroup_folders("cpu", proc):
        if (folder / "cpu.shares").exists():  # version 1
            with contextlib.suppress(OSError):
                return Quotas(folder, share)
    return None


async def available() -> CpuEnforcement:
    """Return what ``auto`` chooses on this machine: ``cgroup`` or ``simulated``."""
    memory = memory_enforcer("auto")
    enforcer = cpu_enforcer("auto", 0.5, memory)
    await enforcer.close()
    await memory.close()
    return "simulated" if isinstance(enforcer, Waiting) else "cgroup"
