"""Starts the process of a run, watches it until it has ended, and leaves no process behind.

One thread does it all: it waits for an announcement, the end of the run or the time of the next sample, whichever comes
first.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from experiments.runs.announcements import Event, Stopping, Watcher
from experiments.runs.run_files import LOG
from experiments.runs.stop_request import StopRequest
from machine.clocks import now
from machine.processes import adopting_orphans, cpu_seconds_of_children, end_descendants, end_of
from metrics.collect.sampler import CONTROLLER, ROLE_VARIABLE, Sampler
from task.engines.runtime import ONE_THREAD

CHILD = (sys.executable, "-m", "experiments.runs.child")
_STOP_PATIENCE_S = 20.0  # from asking a run to stop, or from its own end being known, to killing it
_ORPHAN_GRACE_S = 1.0

# No hash randomisation; a crash in native code leaves a trace in the log.
ENVIRONMENT: Mapping[str, str] = {
    **ONE_THREAD,
    ROLE_VARIABLE: CONTROLLER,
    "PYTHONFAULTHANDLER": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Ended:
    """How the process of a run ended, as seen from outside.

    Parameters
    ----------
    returncode
        Its exit code; minus the number of the signal that killed it.
    stopped
        Whether it was asked to stop.
    ended_at
        When it and all its descendants were gone, in seconds since the epoch.
    cpu_s
        User and system CPU seconds of all its processes: by the kernel's account for those that some process waited
        for, by the last sample for the others.
    sampled_cpu_s
        The sum over the roles in the last sample.
    sampler_cpu_s
        CPU seconds that the sampler used in this process; not part of ``cpu_s``.
    peak_total_rss_bytes
        Highest sum of resident sets of its processes, sampled once a second; ``None`` if it ended before the first.
    sampler_problem
        Why samples were not written when they were taken, if so.
    """

    returncode: int
    stopped: bool
    ended_at: float
    cpu_s: float
    sampled_cpu_s: float
    sampler_cpu_s: float
    peak_total_rss_bytes: int | None
    sampler_problem: str | None = None


def supervise(
    run_id: str,
    directory: Path,
    watcher: Watcher,
    on_event: Callable[[Event], None],
    stop: StopRequest,
    command: tuple[str, ...] = CHILD,
    withhold: Collection[str] = (),
) -> Ended:
    """Make the run that ``directory`` describes in a process of its own, and wait for its end.

    Parameters
    ----------
    on_event
        Called with each announcement, while the run waits; and once with :class:`Stopping` if it was asked to stop.
    withhold
        Environment variables that the run does not get: credentials of others.
    """
    others = [process.pid for process in psutil.Process().children()]
    cpu_before_s = cpu_seconds_of_children()
    with adopting_orphans():
        child = _start(command, directory, withhold)
        sampler = Sampler(run_id, directory, child.pid)
        try:
            stop.attach(child)
            _watch(child, watcher, on_event, sampler, stop)
        finally:
            child.kill()
            child.wait()
            stop.attach(None)
            end_descendants(keep=others, grace_s=_ORPHAN_GRACE_S)
    return Ended(
        returncode=child.returncode,
        stopped=stop.wanted,
        ended_at=now(),
        cpu_s=cpu_seconds_of_children() - cpu_before_s + sampler.not_waited_for_s,
        sampled_cpu_s=sampler.cpu_s,
        sampler_cpu_s=sampler.own_cpu_s,
        peak_total_rss_bytes=sampler.peak_total_rss_bytes,
        sampler_problem=sampler.problem,
    )


def _start(command: tuple[str, ...], directory: Path, withhold: Collection[str]) -> subprocess.Popen[bytes]:
    """Start the process of a run: in its own session, because Ctrl-C is for us alone to pass on."""
    with (directory / LOG).open("ab") as log:
        return subprocess.Popen(
            [*command, str(directory)],
            env={name: value for name, value in os.environ.items() if name not in withhold} | dict(ENVIRONMENT),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _watch(
    child: subprocess.Popen[bytes],
    watcher: Watcher,
    on_event: Callable[[Event], None],
    sampler: Sampler,
    stop: StopRequest,
) -> None:
    """Answer and sample until the run's process has ended, or takes too long to stop.

    The last sample is of a process that has ended but is not reaped yet: then its own account is complete.
    """
    next_sample = time.monotonic()
    stopping_is_shown = False
    with end_of(child.pid) as end_of_child, selectors.DefaultSelector() as selector:
        try:
            selector.register(watcher, selectors.EVENT_READ)
            selector.register(end_of_child, selectors.EVENT_READ)
            ready: set[int] = set()
            while end_of_child not in ready and not stop.is_overdue(_STOP_PATIENCE_S):
                if stop.wanted and not stopping_is_shown:
                    on_event(Stopping())
                    stopping_is_shown = True
                if time.monotonic() >= next_sample:
                    sampler.sample()
                    next_sample = time.monotonic() + sampler.interval_s
                ready = {key.fd for key, _ in selector.select(max(0.0, next_sample - time.monotonic()))}
                if watcher.fileno() in ready:
                    with watcher.accept() as event:
                        if event is not None:
                            on_event(event)
        finally:
            sampler.sample()
