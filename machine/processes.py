"""Finds, ends and accounts for every process that a run starts, daemons included.

Linux gives an orphan to its nearest ancestor that asked for orphans (a subreaper, man 2 prctl). The process of a run
and the process that watches it both ask, so that no descendant is lost to process 1.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import psutil

from machine.tether import PR_SET_PDEATHSIG, prctl

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37  # linux/prctl.h
_POLL_S = 0.02
_KILL_PATIENCE_S = 10.0


@contextmanager
def end_of(pid: int) -> Iterator[int]:
    """Return a descriptor that becomes readable when a child of this process ends; the child is not reaped.

    Where the kernel has no ``pidfd_open`` (before Linux 5.3), or a sandbox forbids it, a thread waits instead.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        descriptor, other_end = os.pipe()
        Thread(target=_close_at_end, args=(pid, other_end), daemon=True).start()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _close_at_end(pid: int, descriptor: int) -> None:
    with suppress(ChildProcessError):  # somebody has reaped it
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    os.close(descriptor)


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Let orphaned descendants become children of this process instead of process 1's, until the block is left.

    Blocks may be nested: each leaves behind what was set before it.

    Raises
    ------
    OSError
        If the system refuses.
    """
    before = ctypes.c_int()
    prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(before))
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, before.value)


def end_with_parent(parent_pid: int) -> None:
    """Have SIGTERM sent to this process when its parent ends, also by ``kill -9``; at once if it has ended already.

    Parameters
    ----------
    parent_pid
        The parent as it was when this process was started.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def descendants(keep: Collection[int] = ()) -> list[psutil.Process]:
    """Return the living descendants of this process, without the children in ``keep`` and their descendants."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.pid not in keep:
            with suppress(psutil.NoSuchProcess):
                found += [child, *child.children(recursive=True)]
    return found


def end_descendants(keep: Collection[int] = (), *, grace_s: float = 0.0, patience_s: float = 5.0) -> list[str]:
    """End and reap every descendant: it is asked to end (SIGTERM), and killed if it does not.

    Parameters
    ----------
    keep
        Process ids of children that are left alone, with their descendants.
    grace_s
        Seconds that the others have to end by themselves.
    patience_s
        Seconds from the request to end until they are killed.

    Returns
    -------
    list of str
        The processes that did not end by themselves, as ``<pid> <name>``.
    """
    start = time.monotonic()
    ended: dict[psutil.Process, str] = {}
    while left := [process for process in descendants(keep) if not _is_reaped(process)]:
        elapsed_s = time.monotonic() - start
        if elapsed_s > grace_s + patience_s + _KILL_PATIENCE_S:
            break  # a process that waits inside the kernel cannot be ended
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
    """Reap a dead child; a dead child of another process is left to it, until that ends and we adopt the child."""
    try:
        return os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
    except ChildProcessError:
        return not process.is_running()


def cpu_seconds_of_children() -> float:
    """Return user and system CPU seconds of all descendants of this process that were reaped since it started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
