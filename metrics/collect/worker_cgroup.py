"""What the control group of some work counts, where the work has a group of its own: beside what the probe measures.

A container has such a group, a worker beside others has not. The group also counts processes that left their parent,
and file cache that the work filled: what a memory limit is held against. Standard library only: it is shipped into
functions.
Files: the kernel's ``cgroup-v1/cpuacct.rst``, ``cgroup-v1/memory.rst``, ``cgroup-v2.rst``.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from machine.cgroups import cgroup_folders

_FILES = {
    "cpuacct": ("cpuacct.usage", "cpu.stat"),
    "memory": ("memory.max_usage_in_bytes", "memory.peak"),
}
LIFELONG = "_life"  # after the name of a mark that could not be reset when the work began
_SELF = Path("/proc/self")


@dataclass(frozen=True)
class GroupReading:
    """What a group counted; ``None`` where the work has none of its own.

    Parameters
    ----------
    cpu_s
        CPU seconds of every process in the group.
    peak_memory_bytes
        Largest memory in use, file cache and kernel memory included.
    source
        The files read, joined by ``+``; one that ends in ``_life`` counts since the group was made.
    """

    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    source: str | None = None


class GroupMeter:
    """Reads the group from its creation to :meth:`read`."""

    def __init__(self) -> None:
        self._cpu, memory = _own_files()
        self._cpu_s = _cpu_seconds(self._cpu)
        self._memory = _PeakMemory(memory) if memory else None

    def read(self) -> GroupReading:
        """Return what was used since the meter was made."""
        cpu_s, peak = _cpu_seconds(self._cpu), self._memory.read() if self._memory else None
        sources = [self._cpu.name] if self._cpu and cpu_s is not None else []
        sources += [self._memory.source] if self._memory and peak is not None else []
        used_s = None if cpu_s is None or self._cpu_s is None else cpu_s - self._cpu_s
        return GroupReading(used_s, peak, "+".join(sources) or None)


class _PeakMemory:
    """The high-water mark, set back to the present use if the kernel lets us.

    Version 1 has one mark for all readers; version 2 has, since Linux 6.12, one per open file.
    """

    def __init__(self, path: Path) -> None:
        self.source = path.name + LIFELONG
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._reopen_to_write(path)
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)

    def _reopen_to_write(self, path: Path) -> None:
        writable = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.write(writable, b"0")
        except OSError:
            os.close(writable)
            raise
        if self._file is not None:
            os.close(self._file)
        self._file, self.source = writable, path.name

    def read(self) -> int | None:
        try:
            return None if self._file is None else int(os.pread(self._file, 64, 0))
        except OSError:
            return None  # the group is gone


def _own_files() -> tuple[Path | None, Path | None]:
    """Return the files in which this process's groups count CPU time and memory, if nobody else is in them."""
    try:
        groups = (_SELF / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return None, None
    cpu, memory = (
        next((file for file in _candidates(controller, groups) if _is_own(file.parent)), None)
        for controller in ("cpuacct", "memory")
    )
    return cpu, memory


@lru_cache(maxsize=8)
def _candidates(controller: str, _groups: str) -> tuple[Path, ...]:
    """Return the files of the groups on the way up; looked for again only when the process has moved."""
    folders = cgroup_folders(controller, _SELF)
    paths = (folder / name for folder in folders for name in _FILES[controller])
    return tuple(path for path in paths if path.exists())


def _is_own(group: Path) -> bool:
    """Whether a group holds this process and, at most, its descendants."""
    try:
        members = {int(line) for line in (group / "cgroup.procs").read_text(encoding="utf-8").split()}
    except OSError:
        return False
    this = os.getpid()
    if this not in members or os.getppid() in members:
        return False
    return all(_descends_from(member, this) for member in members - {this})


def _descends_from(pid: int, ancestor: int) -> bool:
    while pid > 1 and pid != ancestor:
        try:
            # the second field, the program's name, is in brackets and may hold anything (man 5 proc)
            pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return True  # it has ended: there is nothing left of it to count
    return pid == ancestor


def _cpu_seconds(path: Path | None) -> float | None:
    """Read ``cpuacct.usage`` (nanoseconds) or ``usage_usec`` in ``cpu.stat``."""
    if path is None:
        return None
    try:
        words = path.read_text(encoding="utf-8").split()
    except OSError:
        return None
    if path.name == "cpuacct.usage":
        return int(words[0]) / 1e9
    return int(words[words.index("usage_usec") + 1]) / 1e6
