"""What a container writes to stdout and stderr, cut into the lines of its activations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

# Lines that OpenWhisk adds to logs.
LOG_FAILURE = "There was an issue while collecting your logs. Data might be missing."
LOG_AFTER_DEVELOPER_ERROR = "The action did not initialize or run as expected. Log data might be missing."
END_OF_ACTIVATION = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
_STREAMS = {1: "stdout", 2: "stderr"}
_COLLECT_TIMEOUT_S = 2.0


class ContainerLogs:
    """Collects both streams of one container, one activation at a time.

    An activation's lines are complete when the end-of-activation marker has been seen on both streams.
    Lines carry the time at which they arrived, formatted as Docker's log driver and OpenWhisk do. The pipes
    are always drained, also above the log limit, so that a talkative function is never blocked by its logs.
    """

    def __init__(self) -> None:
        self._partial = dict.fromkeys(_STREAMS, b"")
        self._open = set(_STREAMS)
        self.begin(0)

    def begin(self, limit_bytes: int) -> None:
        """Start the logs of an activation.

        Parameters
        ----------
        limit_bytes
            The log limit of its action; 0 collects nothing.
        """
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._lines: list[str] = []
        self._pending = set(self._open)
        self._complete = asyncio.Event()
        if not self._pending:
            self._complete.set()

    def feed(self, fd: int, data: bytes) -> None:
        """Take what arrived on a stream (1 stdout, 2 stderr)."""
        *lines, rest = (self._partial[fd] + data).split(b"\n")
        time = _timestamp()
        for line in lines:
            self._take(fd, line, time)
        if len(rest) > self._limit_bytes + len(END_OF_ACTIVATION):  # a line without an end must not fill memory
            self._take(fd, rest[: -len(END_OF_ACTIVATION)], time)
            rest = rest[-len(END_OF_ACTIVATION) :]
        self._partial[fd] = rest

    def close(self, fd: int) -> None:
        """Take the end of a stream: nothing more will come from it."""
        if self._partial[fd]:
            self.feed(fd, b"\n")
        self._open.discard(fd)
        self._finish(fd)

    async def collect(self, *, developer_error: bool) -> tuple[str, ...]:
        """Return the lines of the activation once both streams have ended it.

        Parameters
        ----------
        developer_error
            Whether the activation ended in a developer error: then markers may be missing, and OpenWhisk adds
            a line that says so.
        """
        if not self._limit_bytes:
            return ()
        try:
            await asyncio.wait_for(self._complete.wait(), _COLLECT_TIMEOUT_S)
        except TimeoutError:
            if not developer_error:
                self._add("stderr", LOG_FAILURE)
        if self._bytes > self._limit_bytes:
            self._add("stderr", truncated_logs(self._limit_bytes))
        if developer_error:
            self._add("stderr", LOG_AFTER_DEVELOPER_ERROR)
        return tuple(self._lines)

    def _take(self, fd: int, line: bytes, time: str) -> None:
        is_last = line.endswith(END_OF_ACTIVATION)
        line = line.removesuffix(END_OF_ACTIVATION)
        if line or not is_last:
            self._keep(fd, line, time)
        if is_last:
            self._finish(fd)

    def _keep(self, fd: int, line: bytes, time: str) -> None:
        self._bytes += len(line) + 1
        if self._bytes <= self._limit_bytes:
            self._add(_STREAMS[fd], line.decode("utf-8", errors="replace"), time)

    def _finish(self, fd: int) -> None:
        self._pending.discard(fd)
        if not self._pending:
            self._complete.set()

    def _add(self, stream: str, text: str, time: str | None = None) -> None:
        self._lines.append(f"{time or _timestamp():<30} {stream}: {text}")


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def truncated_logs(limit_bytes: int) -> str:
    """Logs above the action's log limit."""
    return f"Logs were truncated because the total bytes size exceeds the limit of {limit_bytes} bytes."
