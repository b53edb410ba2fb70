"""Runs a program that ends when its parent does, however that ends.

Usage: ``python machine/tether.py PARENT_PID PROGRAM [ARGUMENT ...]``. This process becomes the program, so nothing
is left between the two. Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere the program is just started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tethered(command: list[str]) -> list[str]:
    """Return the command that runs ``command`` tethered to this process.

    The kernel sends the signal when the *thread* that starts the program ends: start it from one that stays.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def tie(parent: int) -> None:
    """Let the kernel end this process when its parent, or the thread of it that started this, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the tether was tied
            sys.exit(1)


def _main(parent: int, command: list[str]) -> None:
    tie(parent)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
