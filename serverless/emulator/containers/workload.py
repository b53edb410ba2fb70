"""What a container is started for, whatever platform's front door it came through."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Protocol

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
    def kind(self) -> str | None:
        """The runtime that a pre-warmed container is started with, such as ``python:3.11``; ``None``: none is."""

    @property
    def revision(self) -> int:
        """Differs between any two that were ever deployed: containers are reused within one."""


def next_revision() -> int:
    """Return a number that no function of this server has yet."""
    return next(_revisions)


@dataclass(frozen=True)
class Limits:
    """Limits of one action: milliseconds, MiB, MiB, activations at once in one container, containers.

    The last two are kept and shown, as by an OpenWhisk whose Python image takes one activation at a time and that
    has no scheduler service: they change nothing.
    """

    timeout: int
    memory: int
    logs: int
    concurrency: int = 1
    instances: int | None = None

    def to_json(self) -> dict[str, int]:
        """Return OpenWhisk's ``limits`` object."""
        return {name: value for name, value in asdict(self).items() if value is not None}
