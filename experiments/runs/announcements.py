"""The socket on which a run announces its set-up steps and rounds, and waits to be told to go on."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

_GO_ON = b"\n"
# A line of a round takes some 1 kB; whoever sends less than a line within this time is not a recorder.
_PATIENCE_S = 5.0
_LONGEST_LINE = 1 << 20


@dataclass
class Watcher:
    """Listens as long as it is open; its folder is private to the user and gone with it.

    Examples
    --------
    >>> with Watcher() as watcher:
    ...     watcher.path.endswith("/watcher")
    True
    """

    _folder: str = ""
    _socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))

    @property
    def path(self) -> str:
        """Path of the socket; short, because a socket's name has at most 107 characters (man 7 unix)."""
        return str(Path(self._folder) / "watcher")

    def __enter__(self) -> Watcher:
        self._folder = tempfile.mkdtemp(prefix="flrun-", dir=_short_folder())
        self._socket.bind(self.path)
        self._socket.listen(16)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with each announcement, for a selector."""
        return self._socket.fileno()

    def accept(self) -> Announcement:
        """Take the next announcement."""
        connection, _ = self._socket.accept()
        connection.settimeout(_PATIENCE_S)
        return Announcement(connection)


@dataclass(frozen=True)
class Announcement:
    """A connection whose other end waits until it is closed."""

    connection: socket.socket

    def __enter__(self) -> dict[str, Any] | None:
        """Return the event, or ``None`` if the line is none (its sender was killed in the middle of it)."""
        line = b""
        try:
            while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                part = self.connection.recv(1 << 16)
                if not part:
                    return None
                line += part
            event = json.loads(line)
        except (OSError, ValueError):
            return None
        return event if isinstance(event, dict) else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the run go on."""
        try:
            self.connection.sendall(_GO_ON)
        except OSError:
            pass  # it was killed while we drew
        finally:
            self.connection.close()


def _short_folder() -> str | None:
    """Return a folder for the socket: the system's, unless its name is too long for one."""
    return "/tmp" if len(os.fsencode(tempfile.gettempdir())) > 80 else None  # noqa: S108 # nosec B108 # private
