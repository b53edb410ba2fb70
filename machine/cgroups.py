"""The limits that Linux control groups, version 1 or 2, put on this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# version 1 states "no limit" as the largest multiple of the page size in 63 bits
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True)
class CgroupLimits:
    """The tightest limits on the way from a process's group to the root; ``None`` is no limit.

    Parameters
    ----------
    cpu_cores
        CPU seconds that may be used per second.
    memory_bytes
        Memory that may be used.
    """

    cpu_cores: float | None
    memory_bytes: int | None


def cgroup_limits(proc: Path = Path("/proc/self")) -> CgroupLimits:
    """Read the limits of a process.

    Parameters
    ----------
    proc
        Its folder in ``/proc``, in which ``cgroup`` and ``mounts`` are read.

    Notes
    -----
    Files and formats: the kernel's ``cgroup-v1/memory.rst``, ``scheduler/sched-bwc.rst``, ``cgroup-v2.rst``.
    """
    cpu = [_cpu_cores(folder) for folder in cgroup_folders("cpu", proc)]
    memory = [_memory_bytes(folder) for folder in cgroup_folders("memory", proc)]
    return CgroupLimits(
        cpu_cores=min((cores for cores in cpu if cores is not None), default=None),
        memory_bytes=min((size for size in memory if size is not None), default=None),
    )


def cgroup_folders(controller: str, proc: Path = Path("/proc/self")) -> list[Path]:
    """Return the folders of a process's group and of its ancestors, in both hierarchies, the group first.

    Parameters
    ----------
    controller
        E.g. ``memory``; in version 2 it need not be enabled in all of them.
    proc
        The process's folder in ``/proc``.
    """
    try:
        groups = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (proc / "mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return list(_folders(controller, groups, mounts))


def _folders(controller: str, groups: list[str], mounts: list[str]) -> Iterator[Path]:
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = _mount_point("cgroup" if controllers else "cgroup2", controller, mounts)
        if mount is None:
            continue
        # inside a container the path may be the host's; then the mount itself is the group
        relative = Path(path.lstrip("/"))
        yield from (mount / part for part in (relative, *relative.parents) if (mount / part).is_dir())


def _mount_point(kind: str, controller: str, mounts: list[str]) -> Path | None:
    for line in mounts:
        _, folder, filesystem, options, *_ = line.split()
        if filesystem == kind and (kind == "cgroup2" or controller in options.split(",")):
            return Path(folder)
    return None


def _cpu_cores(folder: Path) -> float | None:
    quota, period = _words(folder / "cpu.max")
    if quota is None:
        (quota, _), (period, _) = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    if quota is None or period is None or quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


def _memory_bytes(folder: Path) -> int | None:
    size = _words(folder / "memory.max")[0] or _words(folder / "memory.limit_in_bytes")[0]
    if size is None or size == "max" or int(size) >= _NO_LIMIT_BYTES:
        return None
    return int(size)


def _words(path: Path) -> tuple[str | None, str | None]:
    """Return the first two words of a file, ``None`` for a word that is missing."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except OSError:
        words = []
    return (words[0] if words else None), (words[1] if len(words) > 1 else None)
