"""What a piece of work used, measured inside the process that did it.

The same probe runs in a worker of the bare loop, in a Flower client and in a function, so that all backends are
measured by the same instrument. It imports the standard library only: it is shipped into functions.

CPU seconds and peak memory are the process's own everywhere (getrusage and its high-water mark), so that backends can
be compared; where the process has its own control group, the group's numbers are reported beside them.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from machine import clocks
from machine.clocks import now, process_started_at
from metrics.collect.worker_cgroup import GroupMeter


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
        What its own control group counted, and in which files; ``None`` where it has none. See
        :class:`metrics.collect.worker_cgroup.GroupReading`.
    clock
        The worker's clock, :func:`machine.clocks.name`; ``None``: it is not known.
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
    clock: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the work in seconds, without the cold start that came before it."""
        return self.ended_at - self.started_at

    def by_our_clock(self, sent_at: float, answered_at: float) -> WorkReport:
        """Return the report with its moments by this process's clock.

        Those of a worker with another clock, as on another machine, cannot be compared with ours: only its durations
        count, and it is taken to have ended when its answer came, so that what else the call took is a wait.

        Parameters
        ----------
        sent_at, answered_at
            When the work was sent out and when its answer came, by this process's clock.
        """
        if self.clock == clocks.name():
            return self
        shift = max(answered_at - self.ended_at, sent_at - self.started_at)
        spans = tuple(Span(span.phase, span.start + shift, span.end + shift) for span in self.spans)
        return replace(
            self,
            started_at=self.started_at + shift,
            ended_at=self.ended_at + shift,
            spans=spans,
            clock=clocks.name(),
        )

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
class WorkerProcess:
    """A process that does one piece of work after the other; the first one is its cold start.

    Parameters
    ----------
    ready_at
        When the process was ready to work (its imports done), in seconds since the epoch: the end of the
        ``cold_start`` span of the first work. ``None``: when the first work began.
    born_at
        When the process was created, if it was forked from another one that the platform had started: the birth of
        that one, in seconds since the epoch. ``None``: when the process itself was created.

    Examples
    --------
    >>> worker = WorkerProcess()
    >>> worker.probe().report().is_cold, worker.probe().report().is_cold
    (True, False)
    """

    ready_at: float | None = None
    born_at: float | None = None
    _worked_in: int | None = None  # a process forked from this one has its own cold start

    def probe(self) -> Probe:
        """Begin to measure a piece of work of this process."""
        pid, start = os.getpid(), now()
        if self._worked_in == pid:
            return Probe()
        self._worked_in = pid
        return Probe(Span("cold_start", self.born_at or process_started_at(), self.ready_at or start))


@dataclass
class Probe:
    """Measures one piece of work, from its creation to :meth:`report`.

    Parameters
    ----------
    cold_start
        The start of the process, if this is the first work of it; :class:`WorkerProcess` knows.

    Examples
    --------
    >>> probe = Probe()
    >>> with probe.phase("train"):
    ...     _ = sum(range(1000))
    >>> probe.report().phase_s("train") > 0
    True
    """

    cold_start: Span | None = None
    _spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started_at = now()
        if self.cold_start:
            self._spans.append(self.cold_start)
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
            is_cold=self.cold_start is not None,
            cgroup_cpu_s=group.cpu_s,
            cgroup_peak_memory_bytes=group.peak_memory_bytes,
            cgroup_source=group.source,
            clock=clocks.name(),
        )


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
