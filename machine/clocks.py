"""The clock of a run: the moment, when a process was started, and whether two processes have one clock.

Durations come from ``CLOCK_MONOTONIC``, which never jumps and is one for all processes of a machine. One anchor per run
places it on the epoch. :func:`begin` makes the anchor, and the environment hands it down to all processes of the run:
their moments can be subtracted from each other, whatever somebody does to the wall clock meanwhile. Moments of two
machines cannot; :func:`name` tells which is which.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

VARIABLE = "FL_PROCESS_CLOCK"  # the clock's name: BOOT:ANCHOR, the machine's boot id and the anchor in seconds


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux, or hidden: then no two processes are known to be of one machine
        return f"process-{os.getpid()}"


class _Clock:
    """Seconds since the epoch by an anchor that can be handed down."""

    def __init__(self, handed_down: str) -> None:
        self.boot = _boot()
        boot, _, anchor = handed_down.rpartition(":")
        self.anchor_s = float(anchor) if boot == self.boot else _anchor_s()

    @property
    def name(self) -> str:
        return f"{self.boot}:{self.anchor_s!r}"

    def now(self) -> float:
        return self.anchor_s + time.monotonic()


def _anchor_s() -> float:
    return time.time() - time.monotonic()


_OURS = _Clock(os.environ.get(VARIABLE, ""))


def begin() -> None:
    """Set the clock by the wall clock, as a run begins; processes that are started from now on have it, too."""
    _OURS.anchor_s = _anchor_s()
    os.environ[VARIABLE] = name()


def name() -> str:
    """Return the name of this process's clock: moments of two processes may be compared if it is the same for both."""
    return _OURS.name


def now() -> float:
    """Return this moment in seconds since the epoch, by the run's clock: it cannot step."""
    return _OURS.now()


def now_by(clock: str) -> float | None:
    """Return this moment by the clock of another run, from its :func:`name`; ``None`` if that is of another boot."""
    theirs = _Clock(clock)
    return theirs.now() if theirs.name == clock else None


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
