"""Pre-warmed containers, OpenWhisk's stem cells: started for a kind of action, before anybody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from serverless.emulator.action import Action, Exec, Limits
from serverless.emulator.container import Container
from serverless.emulator.settings import StemCells
from serverless.emulator.workload import Workload, next_revision

_ROLE = "prewarmed"
_MOST_FAILURES = 5  # OpenWhisk's prewarm-max-retry-limit


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

    def missing(self) -> Iterator[Action]:
        """Yield what another container has to be made for, as often as there is one too few."""
        for wanted in self._wanted if self.failures < _MOST_FAILURES else ():
            there = sum(_fits(cell, wanted.kind, wanted.memory_mb) for cell in self._cells)
            for _ in range(wanted.count - there):
                limits = Limits(timeout=0, memory=wanted.memory_mb, logs=0)
                yield Action(_ROLE, Exec(wanted.kind, "", binary=False), limits, next_revision(), updated=0)

    def add(self, action: Action) -> Container:
        """Make a container that waits from now on; it has not been started."""
        self._cells.append(self._new_container(action))
        return self._cells[-1]

    def take(self, action: Workload) -> Container | None:
        """Return a started container of the kind and memory limit of ``action``, which is its action from now on."""
        if not isinstance(action, Action):
            return None
        for cell in self._cells:
            if cell.is_started and cell.is_alive and _fits(cell, action.exec.kind, action.limits.memory):
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


def _fits(cell: Container, kind: str, memory_mb: int) -> bool:
    action = cell.action
    return isinstance(action, Action) and action.exec.kind == kind and action.limits.memory == memory_mb
