"""Pre-warmed containers, which OpenWhisk calls stem cells: started for a kind of action before one is invoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from serverless.emulator.containers.container import Container
from serverless.emulator.containers.workload import Limits, Workload, next_revision
from serverless.emulator.settings import StemCells

_ROLE = "prewarmed"
_MOST_FAILURES = 5  # OpenWhisk's prewarm-max-retry-limit


@dataclass(frozen=True)
class Blank:
    """What stands in for the action of a container that has none yet."""

    kind: str
    limits: Limits
    revision: int
    name: str = _ROLE
    path: str = _ROLE


class Prewarmed:
    """The containers that wait for their action.

    Parameters
    ----------
    wanted
        How many of which kind and memory limit.
    new_container
        Makes a container that has not been started.
    """

    def __init__(self, wanted: Sequence[StemCells], new_container: Callable[[Workload], Container]) -> None:
        self._wanted = wanted
        self._new_container = new_container
        self._cells: list[Container] = []  # the oldest first
        self.failures = 0  # starts that failed, in all: after too many, no more are tried

    def missing(self) -> Iterator[Blank]:
        """Yield a blank for each container that has to be made."""
        for wanted in self._wanted if self.failures < _MOST_FAILURES else ():
            there = sum(_fits(cell, wanted.kind, wanted.memory_mb) for cell in self._cells)
            for _ in range(wanted.count - there):
                limits = Limits(timeout=0, memory=wanted.memory_mb, logs=0)
                yield Blank(wanted.kind, limits, next_revision())

    def add(self, action: Workload) -> Container:
        """Make a container that waits from now on; it has not been started."""
        self._cells.append(self._new_container(action))
        return self._cells[-1]

    def take(self, action: Workload) -> Container | None:
        """Return a started container of the kind and memory limit of ``action``, which is its action from now on."""
        for cell in self._cells if action.kind else ():
            if cell.is_started and cell.is_alive and _fits(cell, action.kind, action.limits.memory):
                self._cells.remove(cell)
                cell.action = action
                return cell
        return None

    def discard(self, cell: Container) -> bool:
        """Take out a container that has failed or is to be ended, and return whether it was still waiting."""
        if cell not in self._cells:
            return False
        self._cells.remove(cell)
        return True

    def started(self) -> list[Container]:
        """Return those whose start is over."""
        return [cell for cell in self._cells if cell.is_started]

    def ended(self) -> list[Container]:
        """Return those that were started and have ended by themselves."""
        return [cell for cell in self.started() if not cell.is_alive]


def _fits(cell: Container, kind: str | None, memory_mb: int) -> bool:
    return cell.action.kind == kind and cell.action.limits.memory == memory_mb
