"""Starts a program that ends when its parent ends, also when the parent is killed; and ``prctl``, which makes it so.

Usage: ``python machine/tether.py PARENT_PID PROGRAM [ARGUMENT ...]``. This process becomes the program, so that no
process is left between the two. Elsewhere than on Linux the program is started without the tether. Started as a script
by its path, so that it imports the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def prctl(option: int, argument: int) -> None:
    """Change, or read, a setting of this process in the kernel (man 2 prctl).

    Parameters
    ----------
    option
        One of the ``PR_`` constants of ``linux/prctl.h``.
    argument
        Its value; for an option that reads, the address of a C integer.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def tethered(command: list[str]) -> list[str]:
    """Return the command that runs ``command`` tethered to this process.

    The kernel sends the signal when the *thread* that starts the program ends: start it from one that stays.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def tie(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, or the thread of the parent that started this process."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before the kernel was asked
            sys.exit(1)


def _main(parent: int, command: list[str]) -> None:
    tie(parent)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
