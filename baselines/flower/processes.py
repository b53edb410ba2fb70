"""The processes of one federation: started in a folder of their own, found by it, and ended whatever happens.

Flower and Ray start processes in sessions of their own, some outlive the process that started them, and some overwrite
their environment with a title. What stays is the folder that they work in.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

HOME = "FLWR_HOME"
_END_TIMEOUT_S = 20.0
_BURIAL_TIMEOUT_S = 2.0
_POLL_S = 0.02
_PR_SET_CHILD_SUBREAPER = 36  # man 2 prctl
_PR_GET_CHILD_SUBREAPER = 37
_SHORT = "/tmp"  # noqa: S108 # nosec B108 # sockets need a short path; mkdtemp makes private folders


class Processes:
    """Starts processes in a short-lived folder, and ends them and whatever they started.

    Parameters
    ----------
    log
        File that gets what the processes print.
    environment
        Variables for them, besides this process's own.

    Attributes
    ----------
    folder
        Theirs to work in, removed at the end. It is close to the root: Ray's socket paths must stay within the 107
        characters of a Unix socket's address.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self._started: list[subprocess.Popen[bytes]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="fl-flower-", dir=_SHORT)).resolve()
        self._guard = _start_guard(self.folder)
        self._environment = {**os.environ, **environment, HOME: str(self.folder), "RAY_TMPDIR": str(self.folder)}
        self._adopted = _adopt_orphans(True)

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, so that a Ctrl-C in the terminal reaches this process only."""
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End them all, and remove the folder."""
        try:
            sessions = end_all(self.folder)
        finally:
            for process in self._started:
                process.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait()
            _adopt_orphans(self._adopted)
        _bury(sessions)


@contextlib.contextmanager
def processes(log: Path, environment: Mapping[str, str]) -> Iterator[Processes]:
    """Give processes that are ended with the block, however it is left."""
    started = Processes(log, environment)
    try:
        yield started
    finally:
        started.end()


def of(folder: Path) -> list[psutil.Process]:
    """Return the living processes that work in ``folder``, or have it in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mine = process.cwd() == str(folder) or process.environ().get(HOME) == str(folder)
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_all(folder: Path) -> set[int]:
    """Kill the processes of ``folder`` until there are none, remove it, and return the ids of their sessions.

    Nothing is lost by a kill: their state is in memory and in ``folder``, and what a run is to keep it has written and
    moved into place already. Ray's own shutdown takes seconds and leaves files behind.

    Raises
    ------
    RuntimeError
        If some cannot be killed.
    """
    deadline = time.monotonic() + _END_TIMEOUT_S
    sessions: set[int] = set()
    while living := of(folder):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of Flower that do not end: {[process.pid for process in living]}")
        for process in living:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                sessions.add(os.getsid(process.pid))
                process.kill()
        time.sleep(_POLL_S)
    shutil.rmtree(folder, ignore_errors=True)
    return sessions


def _start_guard(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that cleans up if this one is killed and cannot: the end of its input tells it."""
    return subprocess.Popen(
        [sys.executable, "-m", "baselines.flower.cleanup_guard", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _adopt_orphans(adopt: bool) -> bool:
    """Become, or cease to be, the parent of descendants whose own parent has ended; return whether this one was.

    Only a parent can bury the dead. Elsewhere than on Linux init does it.
    """
    if sys.platform != "linux":
        return False
    libc, before = ctypes.CDLL(None), ctypes.c_int()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(adopt), 0, 0, 0)
    return bool(before.value)


def _bury(sessions: set[int]) -> None:
    """Collect the exit status of adopted orphans: of these sessions only, a caller's own children are not touched."""
    deadline = time.monotonic() + _BURIAL_TIMEOUT_S
    for child in psutil.Process().children():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.getsid(child.pid) in sessions:
                while not os.waitpid(child.pid, os.WNOHANG)[0] and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
