"""What a container is started for, whatever platform's front door it came through."""

from __future__ import annotations

import itertools
from typing import Protocol

from serverless.emulator.action import Limits

_revisions = itertools.count(1)


class Workload(Protocol):
    """A function as the pool and its containers see it: an OpenWhisk action, or a service of another platform."""

    @property
    def name(self) -> str:
        """Its own name."""

    @property
    def path(self) -> str:
        """Its name with whatever it is in; the role of its processes."""

    @property
    def limits(self) -> Limits:
        """Milliseconds and MiB."""

    @property
    def revision(self) -> int:
        """Differs between any two that were ever deployed: containers are reused within one."""


def next_revision() -> int:
    """Return a number that no function of this server has yet."""
    return next(_revisions)
