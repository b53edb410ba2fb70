"""The clocks of the harness: the moment, and when a process was started.

Durations come from ``CLOCK_MONOTONIC``, which never jumps. One anchor per process places them on the epoch, so that
moments of different processes can be compared.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_ANCHOR_S = time.time() - time.monotonic()


def now() -> float:
    """Return this moment in seconds since the epoch; steady within a process (it cannot step back)."""
    return _ANCHOR_S + time.monotonic()


def process_started_at(pid: int | None = None) -> float:
    """Return when a process was created, in seconds since the epoch.

    Parameters
    ----------
    pid
        The process; ``None`` is this one.

    Notes
    -----
    Field 22 of ``/proc/PID/stat`` counts clock ticks since boot (man 5 proc), 10 ms each on Linux, and is
    placed by ``CLOCK_BOOTTIME``. ``/proc/stat``'s ``btime``, which other libraries use, has whole seconds.

    Raises
    ------
    OSError
        If the process is gone or the system has no ``/proc``.
    """
    stat = Path(f"/proc/{pid or 'self'}/stat").read_text(encoding="utf-8", errors="replace")
    ticks = int(stat.rpartition(")")[2].split()[19])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return now() - age_s
