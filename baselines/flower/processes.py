"""The processes of one federation: started in a folder of their own, found by it, and ended whatever happens.

Flower and Ray start processes in sessions of their own. Some outlive the process that started them, and some overwrite
their environment with a title. What all of them keep is the folder that they work in.

Usage, for the process that ends a federation when the process that started it was killed::

    python -m baselines.flower.processes FOLDER
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from baselines.flower.keys import Keys, make_keys
from machine.credentials import without_credentials
from machine.processes import adopting_orphans

HOME = "FLWR_HOME"
_END_TIMEOUT_S = 20.0
_REAP_TIMEOUT_S = 20.0  # a process that was killed gives back its memory before it has ended
_POLL_S = 0.02
_SHORT = "/tmp"  # noqa: S108 # nosec B108 # sockets need a short path; mkdtemp makes private folders


class Processes:
    """Starts processes in a short-lived folder, and ends them and whatever they started.

    Parameters
    ----------
    log
        File that gets what the processes print.
    environment
        Variables for them, besides those of this process that programs need to start.

    Attributes
    ----------
    folder
        Their working directory, removed at the end. Its path is short: Ray's socket paths must fit into the 107
        characters of a Unix socket's address.
    keys
        The keys by which they know each other.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self._started: list[subprocess.Popen[bytes]] = []
        self._before = {child.pid for child in psutil.Process().children()}
        self.folder = Path(tempfile.mkdtemp(prefix="fl-flower-", dir=_SHORT)).resolve()
        self._guard = _start_guard(self.folder)
        self.keys: Keys = make_keys(self.folder)
        self._environment = {
            **without_credentials(os.environ),
            **environment,
            HOME: str(self.folder),
            "RAY_TMPDIR": str(self.folder),
            "RAY_AUTH_TOKEN_PATH": str(self.keys.ray_token),
        }

    def start(self, command: Sequence[str], listener: socket.socket | None = None) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, so that a Ctrl-C in the terminal reaches this process only.

        ``listener`` is handed over, with the same file descriptor: this process closes it.
        """
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,
                pass_fds=[listener.fileno()] if listener else [],
            )
        if listener:
            listener.close()
        self._started.append(process)
        return process

    def end(self) -> None:
        """End them all, and remove the folder."""
        try:
            killed = end_all(self.folder)
        finally:
            for process in self._started:
                process.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait()
        _reap(killed, self._before)


@contextlib.contextmanager
def processes(log: Path, environment: Mapping[str, str]) -> Iterator[Processes]:
    """Give processes that are ended with the block, however it is left.

    Orphans among them are adopted meanwhile, because only a parent can collect the exit status of a process.
    """
    with adopting_orphans():
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
            if _belongs_to(process, folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _belongs_to(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder) or process.environ().get(HOME) == str(folder)
    except psutil.AccessDenied:  # SuperExec lets only root look into it; its command names the certificate
        return process.uids().real == os.getuid() and any(word.startswith(f"{folder}/") for word in process.cmdline())


def end_all(folder: Path) -> dict[psutil.Process, int]:
    """Kill the processes of ``folder`` until there are none, remove it, and return them with their sessions' ids.

    Nothing is lost by a kill: their state is in memory and in ``folder``, and what a run is to keep it has written and
    moved into place already. Ray's own shutdown takes seconds and leaves files behind.

    Raises
    ------
    RuntimeError
        If some cannot be killed.
    """
    deadline = time.monotonic() + _END_TIMEOUT_S
    killed: dict[psutil.Process, int] = {}
    while living := of(folder):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of Flower that do not end: {[process.pid for process in living]}")
        for process in living:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                killed[process] = os.getsid(process.pid)
                process.kill()
        time.sleep(_POLL_S)
    shutil.rmtree(folder, ignore_errors=True)
    return killed


def _start_guard(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that cleans up if this one is killed and cannot: it waits for the end of its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "baselines.flower.processes", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _reap(killed: Mapping[psutil.Process, int], before: set[int]) -> None:
    """Collect the exit status of adopted orphans; children that a caller had before are not touched.

    Parameters
    ----------
    killed
        Processes, and their sessions. One is adopted when its own parent has ended, which may be later. Others
        end by themselves, and their sessions are not known: a child that is ending, in another session than this
        process, is one of them.
    """
    deadline = time.monotonic() + _REAP_TIMEOUT_S
    sessions, mine = set(killed.values()), os.getsid(0)
    while time.monotonic() < deadline:
        is_left = any(process.is_running() for process in killed)
        for child in psutil.Process().children():
            with contextlib.suppress(ProcessLookupError, ChildProcessError, psutil.NoSuchProcess):
                session = os.getsid(child.pid)
                is_orphan = session != mine and child.pid not in before
                if session in sessions or (is_orphan and _is_ending(child)):
                    is_left |= not os.waitpid(child.pid, os.WNOHANG)[0]
        if not is_left:
            return
        time.sleep(_POLL_S)


def _is_ending(process: psutil.Process) -> bool:
    """Whether a process has ended, or has given back its memory, where its command line was."""
    try:
        return not process.cmdline()
    except psutil.ZombieProcess:
        return True


def _guard(folder: Path) -> None:
    """Wait for the end of the input, then end the processes of ``folder``."""
    for sent_to_a_whole_group in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sent_to_a_whole_group, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_all(folder)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
