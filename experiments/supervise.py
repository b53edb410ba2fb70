"""Starts the process of a run, watches it until it has ended, and leaves no process behind.

One thread does it all: it waits for whichever comes first of an announcement, the end of the run, and the time of the
next sample.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import psutil

from experiments.processes import adopting_orphans, cpu_seconds_of_children, end_descendants
from experiments.records import LOG
from experiments.watcher import Watcher
from metrics.clocks import now
from metrics.sampler import CONTROLLER, ROLE_VARIABLE, Sampler

CHILD = (sys.executable, "-m", "experiments.child")
_SAMPLE_EVERY_S = 1.0
_STOP_PATIENCE_S = 20.0  # from asking a run to stop, or from its own end being known, to killing it
_ORPHAN_GRACE_S = 1.0

# One thread per client: more would make a client's floating-point sums depend on the machine, and its CPU time on its
# neighbours. No GPU, no hash randomisation; a crash in native code leaves a trace in the log.
ENVIRONMENT: Mapping[str, str] = {
    ROLE_VARIABLE: CONTROLLER,
    "CUDA_VISIBLE_DEVICES": "-1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}


@dataclass
class StopRequest:
    """Turns Ctrl-C, SIGTERM and SIGHUP into a wish that the runs end, while it is entered.

    The first signal asks the run in progress to stop, the second kills it.

    Parameters
    ----------
    on_signal
        Called with the number of each signal.
    """

    on_signal: Callable[[int], None] = lambda number: None
    signal_number: int | None = None
    asked_at: float | None = None
    _child: subprocess.Popen[bytes] | None = None
    _before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for an end."""
        return self.signal_number is not None

    def attach(self, child: subprocess.Popen[bytes] | None) -> None:
        """Name the process that signals are passed to; one that came before it counts too."""
        self._child = child
        if child is not None and self.wanted:
            child.terminate()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        again = self.wanted
        if not again:
            self.signal_number, self.asked_at = number, time.monotonic()
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL if again else signal.SIGTERM)
        self.on_signal(number)


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
        User and system CPU seconds of all its processes.
    peak_memory_bytes
        Highest sum of resident sets of its processes, sampled once a second; ``None`` if it ended before the first.
    """

    returncode: int
    stopped: bool
    ended_at: float
    cpu_s: float
    peak_memory_bytes: int | None


def supervise(
    run_id: str,
    directory: Path,
    watcher: Watcher,
    on_event: Callable[[dict[str, Any]], None],
    stop: StopRequest,
    command: tuple[str, ...] = CHILD,
) -> Ended:
    """Make the run that ``directory`` describes in a process of its own, and wait for its end.

    Parameters
    ----------
    on_event
        Called with each announcement, while the run waits.
    """
    others = [process.pid for process in psutil.Process().children()]
    cpu_before_s = cpu_seconds_of_children()
    with adopting_orphans():
        child = _start(command, directory)
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
        cpu_s=cpu_seconds_of_children() - cpu_before_s,
        peak_memory_bytes=sampler.peak_memory_bytes,
    )


def _start(command: tuple[str, ...], directory: Path) -> subprocess.Popen[bytes]:
    """Start the process of a run: in its own session, because Ctrl-C is for us alone to pass on."""
    with (directory / LOG).open("ab") as log:
        return subprocess.Popen(
            [*command, str(directory)],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _watch(
    child: subprocess.Popen[bytes],
    watcher: Watcher,
    on_event: Callable[[dict[str, Any]], None],
    sampler: Sampler,
    stop: StopRequest,
) -> None:
    """Answer and sample until the run's process has ended, or takes too long to stop."""
    end_of_child = os.pidfd_open(child.pid)
    next_sample = time.monotonic()
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(watcher, selectors.EVENT_READ)
            selector.register(end_of_child, selectors.EVENT_READ)
            while child.poll() is None:
                if stop.asked_at is not None and time.monotonic() > stop.asked_at + _STOP_PATIENCE_S:
                    return
                if time.monotonic() >= next_sample:
                    sampler.sample()
                    next_sample = time.monotonic() + _SAMPLE_EVERY_S
                ready = selector.select(max(0.0, next_sample - time.monotonic()))
                if any(key.fileobj is watcher for key, _ in ready):
                    with watcher.accept() as event:
                        if event is not None:
                            on_event(event)
    finally:
        os.close(end_of_child)
