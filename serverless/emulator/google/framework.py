"""The first program of a Google Cloud Functions instance: it becomes Google's own ``functions-framework``.

With :mod:`.guard` before it, which lets only the server's requests in. The listening socket is handed down by systemd's
protocol (``LISTEN_FDS``, ``LISTEN_PID``; man 3 sd_listen_fds), which the framework's server, gunicorn, understands:
requests wait in the socket's queue while the instance starts. The token stays on the standard input.

Started as ``python -m serverless.emulator.google.framework PYTHON LISTENING_FD SERVER_PID``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from machine.tether import tie

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_GUARD = str(Path(__file__).with_name("guard.py"))


def main() -> None:
    """Become the framework, tied to the server: when that ends, the kernel ends this."""
    listening_fd, server_pid = (int(argument) for argument in sys.argv[2:])
    tie(server_pid)
    if listening_fd == _FIRST_FD:
        os.set_inheritable(_FIRST_FD, True)
    else:
        os.dup2(listening_fd, _FIRST_FD)
        os.close(listening_fd)
    os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    os.execv(sys.argv[1], [sys.argv[1], "-P", _GUARD])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
