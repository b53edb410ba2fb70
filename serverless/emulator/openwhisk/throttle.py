"""Admission of invocations: how many per minute, and how many at once."""

from __future__ import annotations

import time

from serverless.emulator.rest import ApiError


class Throttle:
    """Counts like OpenWhisk: per calendar minute, refused requests included, and activations until they end.

    Parameters
    ----------
    per_minute
        Invocations that a calendar minute accepts.
    concurrent
        Activations that may be queued or running at once.
    """

    def __init__(self, per_minute: int, concurrent: int) -> None:
        self._per_minute = per_minute
        self._concurrent = concurrent
        self._minute = 0
        self._count = 0
        self.active = 0

    def check(self) -> None:
        """Count a request.

        Raises
        ------
        ApiError
            429 if the minute is full, or too many activations are in flight.
        """
        minute = int(time.time()) // 60
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        if self._count > self._per_minute:
            found = f"(count: {self._count}, allowed: {self._per_minute})"
            raise ApiError(429, f"Too many requests in the last minute {found}.")
        if self.active >= self._concurrent:
            found = f"(count: {self.active}, allowed: {self._concurrent})"
            raise ApiError(429, f"Too many concurrent requests in flight {found}.")
