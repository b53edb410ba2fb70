"""What a container is started for: the function of any platform, as the pool sees it."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Protocol

_revisions = itertools.count(1)  # one for the process: no two functions of any server in it have the same revision


class Workload(Protocol):
    """A function as the pool and its containers see it: an OpenWhisk action, or a service of another platform."""

    @property
    def name(self) -> str:
        """Its own name."""

    @property
    def path(self) -> str:
        """Its name with that of its package; the role of its processes."""

    @property
    def limits(self) -> Limits:
        """Milliseconds and MiB."""

    @property
    def revision(self) -> int:
        """A number that no other deployment has: a container is used again for the same revision only."""


def next_revision() -> int:
    """Return a number that no function has yet."""
    return next(_revisions)


@dataclass(frozen=True)
class Limits:
    """Limits of one action: milliseconds, MiB, MiB, activations at once in one container, containers.

    The last two are stored and shown, and change nothing: as in an OpenWhisk without scheduler service, whose Python
    image takes one activation at a time.
    """

    timeout: int
    memory: int
    logs: int
    concurrency: int = 1
    instances: int | None = None

    def to_json(self) -> dict[str, int]:
        """Return OpenWhisk's ``limits`` object."""
        return {name: value for name, value in asdict(self).items() if value is not None}
