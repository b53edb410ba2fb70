"""What a piece of work used, measured inside the process that did it.

The same probe runs in a worker of the bare loop, in a Flower client and in a function, so that no backend is
measured by a kinder instrument. It imports the standard library only: it is shipped into functions.

CPU seconds and peak memory are the process's own everywhere (getrusage and its high-water mark), so that backends can
be compared; where the work has a control group of its own, what the group counted is reported beside them.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from machine.clocks import now, process_started_at
from metrics.collect.worker_cgroup import GroupMeter

_born_at = process_started_at()
_seen_work = False


@dataclass(frozen=True)
class Span:
    """A phase of some work, from ``start`` to ``end``, in seconds since the epoch."""

    phase: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length of the span in seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class WorkReport:
    """What one piece of work took; plain JSON types, so that it travels in any answer.

    Parameters
    ----------
    started_at, ended_at
        Seconds since the epoch by the worker's own clock.
    spans
        The phases inside the work, e.g. ``fetch``, ``compile``, ``train``, ``store``; on the first work of a
        process also ``cold_start``, from the birth of the process until it was ready to work.
    cpu_s
        User and system CPU seconds of the process and its reaped children during the work.
    peak_memory_bytes
        Peak resident set of the process during the work.
    memory_source
        ``VmHWM`` (the kernel's high-water mark, reset when the work began), ``VmHWM_process`` (the same mark
        over the process's whole life, where it could not be reset) or ``ru_maxrss`` (where the kernel
        shows no mark; a process inherits it from the one that started it, so it may be too high).
    is_cold
        Whether this was the first work of its process.
    cgroup_cpu_s, cgroup_peak_memory_bytes, cgroup_source
        What its control group counted, and in which files; ``None`` where it has none of its own. See
        :class:`metrics.collect.worker_cgroup.GroupReading`.
    """

    started_at: float
    ended_at: float
    spans: tuple[Span, ...]
    cpu_s: float
    peak_memory_bytes: int
    memory_source: str
    pid: int
    is_cold: bool
    cgroup_cpu_s: float | None = None
    cgroup_peak_memory_bytes: int | None = None
    cgroup_source: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the work in seconds, without the cold start that came before it."""
        return self.ended_at - self.started_at

    def phase_s(self, phase: str) -> float:
        """Seconds spent in ``phase``."""
        return sum(span.seconds for span in self.spans if span.phase == phase)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> WorkReport:
        """Rebuild a report from :meth:`to_dict`.

        Raises
        ------
        TypeError
            If a key is missing or unknown.
        """
        return cls(**{**values, "spans": tuple(Span(**span) for span in values["spans"])})


@dataclass
class Probe:
    """Measures from its creation to :meth:`report`.

    Parameters
    ----------
    ready_at
        When the process was ready to work (its imports done), in seconds since the epoch: the end of the
        ``cold_start`` span of the first work.

    Examples
    --------
    >>> probe = Probe()
    >>> with probe.phase("train"):
    ...     _ = sum(range(1000))
    >>> probe.report().phase_s("train") > 0
    True
    """

    ready_at: float | None = None
    _spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        global _seen_work
        self._is_cold, _seen_work = not _seen_work, True
        self._started_at = now()
        if self._is_cold:
            self._spans.append(Span("cold_start", _born_at, self.ready_at or self._started_at))
        self._memory_source = _start_peak_memory()
        self._group = GroupMeter()
        self._cpu_s = _cpu_seconds()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase of the work; it is kept also when the work in it fails."""
        start = now()
        try:
            yield
        finally:
            self._spans.append(Span(name, start, now()))

    def report(self) -> WorkReport:
        """Return what was used since the probe was made."""
        ended_at, cpu_s = now(), _cpu_seconds() - self._cpu_s
        group = self._group.read()
        return WorkReport(
            started_at=self._started_at,
            ended_at=ended_at,
            spans=tuple(self._spans),
            cpu_s=cpu_s,
            peak_memory_bytes=_peak_memory_bytes(),
            memory_source=self._memory_source,
            pid=os.getpid(),
            is_cold=self._is_cold,
            cgroup_cpu_s=group.cpu_s,
            cgroup_peak_memory_bytes=group.peak_memory_bytes,
            cgroup_source=group.source,
        )


def count_from(moment: float) -> None:
    """Let the cold start of this process's first work begin earlier than its own birth.

    Parameters
    ----------
    moment
        When the process was born that this one was forked from, to work in its place; seconds since the epoch.
    """
    global _born_at  # noqa: PLW0603
    _born_at = moment


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _start_peak_memory() -> str:
    """Set the kernel's high-water mark to the present resident set; return the name of the source.

    Source: man 5 proc, ``/proc/pid/clear_refs``.
    """
    if _high_water_bytes() is None:
        return "ru_maxrss"
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return "VmHWM_process"
    return "VmHWM"


def _peak_memory_bytes() -> int:
    return _high_water_bytes() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _high_water_bytes() -> int | None:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(kilobytes) * 1024 for _, kilobytes, _ in lines), None)


def _after_fork() -> None:
    """A forked worker has its own birth, and has not worked yet."""
    global _born_at, _seen_work
    _born_at, _seen_work = process_started_at(), False


os.register_at_fork(after_in_child=_after_fork)
