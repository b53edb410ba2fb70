"""The cores, the memory and the processor's name of this machine, as this process may use them."""

from __future__ import annotations

import math
import os
import platform
import shutil
from pathlib import Path

import psutil

from machine.cgroups import CgroupLimits, cgroup_limits

_LEAST_SHARED_BYTES = 1 << 20  # a semaphore takes a page; Ray moves its store to /tmp where there is little


def affinity_cores() -> int:
    """Return how many logical cores this process may be scheduled on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores(limits: CgroupLimits | None = None) -> int:
    """Return how many processes can compute at once: the affinity mask, cut by a control group's CPU quota."""
    quota = (limits or cgroup_limits()).cpu_cores
    return affinity_cores() if quota is None else max(1, min(affinity_cores(), math.floor(quota)))


def usable_memory_bytes(limits: CgroupLimits | None = None) -> int:
    """Return the memory that this process may use: the machine's, cut by a control group's limit."""
    limit = (limits or cgroup_limits()).memory_bytes
    return min(psutil.virtual_memory().total, limit or psutil.virtual_memory().total)


def shared_memory_problem(folder: Path = Path("/dev/shm")) -> str | None:  # noqa: S108 # nosec B108 # the system's own
    """Return in words why processes cannot share semaphores here (man 7 sem_overview); ``None`` if they can."""
    if not folder.is_dir():
        return f"there is no {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written"
    free = shutil.disk_usage(folder).free
    return f"{folder} has only {free >> 10:,} KiB free" if free < _LEAST_SHARED_BYTES else None


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as the kernel states it, else its architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
