"""Control groups that enforce the memory limits of containers, in both versions of the kernel's interface.

The server makes a group below the group that it runs in, so that outer limits stay in force, and in it one group per
container. Kernel documentation: ``cgroup-v1/memory.rst``, ``cgroup-v2.rst``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from machine.cgroups import cgroup_folders

_PREFIX = "fl-emulator-"
_REMOVE_TRIES, _REMOVE_PAUSE_S = 20, 0.01  # the kernel lets go of an ended process's group a little later


@dataclass(frozen=True)
class _Version:
    name: str
    limits: dict[str, str]  # file -> what to write, {bytes} being the limit
    optional: frozenset[str]  # files that do not exist in every kernel
    events: str  # the file that counts kills in a line "oom_kill N"


_V1 = _Version(
    "cgroup-v1",
    {"memory.limit_in_bytes": "{bytes}", "memory.memsw.limit_in_bytes": "{bytes}"},
    frozenset({"memory.memsw.limit_in_bytes"}),
    "memory.oom_control",
)
_V2 = _Version(
    "cgroup-v2",
    {"memory.max": "{bytes}", "memory.swap.max": "0", "memory.oom.group": "1"},
    frozenset({"memory.swap.max", "memory.oom.group"}),
    "memory.events",
)


@dataclass(frozen=True)
class Group:
    """The group of one container."""

    path: Path

    def admit(self, pid: int) -> None:
        """Put a process, with the children it will have, under the limit."""
        (self.path / "cgroup.procs").write_text(str(pid))

    async def remove(self) -> None:
        """End what still runs in the group (a function may have left its process group), and remove it."""
        for _ in range(_REMOVE_TRIES):
            with contextlib.suppress(OSError):
                for pid in (self.path / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                self.path.rmdir()
            if not self.path.exists():
                return
            await asyncio.sleep(_REMOVE_PAUSE_S)


@dataclass(frozen=True)
class MemoryGroup(Group):
    """The group of one container, with a memory limit."""

    version: _Version

    def exhausted(self) -> bool:
        """Whether the kernel has killed a process of the group for its memory."""
        events = (self.path / self.version.events).read_text().splitlines()
        return any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in events)


class MemoryGroups:
    """The group of one server, and those of its containers in it.

    Raises
    ------
    OSError
        If no memory cgroup can be written here.
    """

    def __init__(self, path: Path, version: _Version) -> None:
        self._path, self._version = path, version
        remove_abandoned(path.parent, _PREFIX)
        with new_group(path):
            if version is _V2:
                _enable(path / "cgroup.subtree_control")
            self.create("probe", 1 << 30).path.rmdir()

    @property
    def name(self) -> str:
        """``cgroup-v1`` or ``cgroup-v2``."""
        return self._version.name

    @property
    def path(self) -> Path:
        """The server's group; those of its containers are in it."""
        return self._path

    def create(self, name: str, limit_bytes: int) -> MemoryGroup:
        """Return a new, empty group with a limit."""
        path = self._path / name
        with new_group(path):
            for file, value in self._version.limits.items():
                if file not in self._version.optional or (path / file).exists():
                    (path / file).write_text(value.format(bytes=limit_bytes))
        return MemoryGroup(path, self._version)

    async def close(self) -> None:
        """Remove the server's group; those of its containers must be gone."""
        await Group(self._path).remove()


def memory_groups(proc: Path = Path("/proc/self")) -> MemoryGroups | None:
    """Return groups where this process may make them, else None.

    In version 2 a group with processes in it cannot have limited groups below it, so that its ancestors are
    tried as well.

    Parameters
    ----------
    proc
        This process's folder in ``/proc``.
    """
    for folder in cgroup_folders("memory", proc):
        version = _V1 if (folder / "memory.usage_in_bytes").exists() else _V2
        with contextlib.suppress(OSError):
            return MemoryGroups(folder / f"{_PREFIX}{os.getpid()}", version)
    return None


def _enable(control: Path) -> None:
    """Let the groups below limit memory, and shares of a core where the kernel allows it here."""
    try:
        control.write_text("+memory +cpu")
    except OSError:
        control.write_text("+memory")


@contextlib.contextmanager
def new_group(path: Path) -> Iterator[None]:
    """Make a group, and remove it again if the block, which writes its limits, fails."""
    path.mkdir()
    try:
        yield
    except OSError:
        path.rmdir()
        raise


def remove_abandoned(directory: Path, prefix: str) -> None:
    """Remove the groups of servers that were killed before they could do so, also of one that had our pid.

    Parameters
    ----------
    prefix
        What the names of servers' groups begin with, before the pid.
    """
    for group in directory.glob(f"{prefix}*"):
        pid = group.name.removeprefix(prefix)
        if pid == str(os.getpid()) or not Path("/proc", pid).exists():
            for abandoned in (*(path for path in group.iterdir() if path.is_dir()), group):
                with contextlib.suppress(OSError):
                    abandoned.rmdir()
