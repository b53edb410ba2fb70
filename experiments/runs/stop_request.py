"""Ctrl-C and similar signals: a request to end the runs in good order and to keep the finished rounds."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any


@dataclass
class StopRequest:
    """Turns Ctrl-C, SIGTERM and SIGHUP into a request to end the runs, while its context is open.

    The first signal asks the run in progress to stop, the second kills it.

    Parameters
    ----------
    signal_number
        The first signal that came.
    asked_at
        When it came, by the monotonic clock in seconds.
    """

    signal_number: int | None = None
    asked_at: float | None = None
    _child: subprocess.Popen[bytes] | None = None
    _before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under `nohup`
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

    def is_overdue(self, patience_s: float) -> bool:
        """Whether more time than ``patience_s`` has passed since somebody asked."""
        return self.asked_at is not None and time.monotonic() > self.asked_at + patience_s

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
