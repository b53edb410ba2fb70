"""Processes of a run: that none is lost, none survives, and the CPU time of each is counted.

Linux hands an orphan to its nearest ancestor that asked for it (a subreaper, man 2 prctl). The process of a run and
the one that watches it both ask: whatever a backend starts, daemons too, can be found, ended and accounted for.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02
_KILL_PATIENCE_S = 10.0


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Let orphaned descendants become children of this process instead of init's, as long as this is entered.

    Raises
    ------
    OSError
        If the system refuses.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def end_with_parent(parent_pid: int) -> None:
    """Have this process sent SIGTERM when its parent dies, also by ``kill -9``; at once if it is dead already.

    Parameters
    ----------
    parent_pid
        The parent as it was when this process was started.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def descendants(keep: Collection[int] = ()) -> list[psutil.Process]:
    """Return the living descendants of this process, less those in ``keep`` and theirs."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.pid not in keep:
            with suppress(psutil.NoSuchProcess):
                found += [child, *child.children(recursive=True)]
    return found


def end_descendants(keep: Collection[int] = (), *, grace_s: float = 0.0, patience_s: float = 5.0) -> list[str]:
    """End and reap every descendant: asked first (SIGTERM), killed if that does not help.

    Parameters
    ----------
    keep
        Process ids of children that are none of our business.
    grace_s
        Seconds that they have to end by themselves.
    patience_s
        Seconds that they have from being asked to being killed.

    Returns
    -------
    list of str
        What had to be ended, as ``<pid> <name>``.
    """
    start = time.monotonic()
    ended: dict[psutil.Process, str] = {}
    while left := [process for process in descendants(keep) if not _is_reaped(process)]:
        elapsed_s = time.monotonic() - start
        if elapsed_s > grace_s + patience_s + _KILL_PATIENCE_S:
            break  # nothing ends a process that the kernel holds
        for process in left if elapsed_s >= grace_s else []:
            with suppress(psutil.NoSuchProcess):
                if process not in ended:
                    ended[process] = f"{process.pid} {process.name()}"
                    process.terminate()
                    process.resume()  # one that is stopped can take no SIGTERM
                elif elapsed_s > grace_s + patience_s:
                    process.kill()
        time.sleep(_POLL_S)
    return list(ended.values())


def _is_reaped(process: psutil.Process) -> bool:
    """Reap a process if it is a dead child of ours; dead ones of others are theirs, or ours a moment later."""
    try:
        return os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
    except ChildProcessError:
        return not process.is_running()


def cpu_seconds_of_children() -> float:
    """Return user and system CPU seconds of all reaped descendants of this process, ever."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
