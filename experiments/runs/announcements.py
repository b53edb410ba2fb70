"""The socket on which a run announces its set-up steps and rounds, and waits until each has been shown."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from metrics.collect.row_types import RoundRow

_GO_ON = b"\n"
# A line of a round takes some 1 kB; whoever sends less than a line within this time is not a recorder.
_PATIENCE_S = 5.0
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class SetupStep:
    """A run begins a step of its set-up."""

    step: str


@dataclass(frozen=True)
class Stopping:
    """A run has been asked to stop: the one event that its supervisor makes itself."""


Event = SetupStep | RoundRow | Stopping  # the row of a finished round announces it


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

    @contextmanager
    def accept(self) -> Iterator[Event | None]:
        """Take the next announcement, or ``None`` if its sender was killed while it wrote; it waits until the end."""
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(_PATIENCE_S)
            try:
                yield _read(connection)
            finally:
                with suppress(OSError):  # it was killed while we drew
                    connection.sendall(_GO_ON)


def _read(connection: socket.socket) -> Event | None:
    try:
        with connection.makefile("rb") as stream:
            values = json.loads(stream.readline(_LONGEST_LINE))
        kind = values.pop("event")
        return RoundRow(**values) if kind == "round" else SetupStep(values["step"])
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _short_folder() -> str | None:
    """Return a folder for the socket: the system's, unless its name is too long for one."""
    return "/tmp" if len(os.fsencode(tempfile.gettempdir())) > 80 else None  # noqa: S108 # nosec B108 # private
