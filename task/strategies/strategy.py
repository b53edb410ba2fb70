"""What a strategy is to its callers."""

from __future__ import annotations

from typing import ClassVar, Protocol

from task.weights import Weights


class Strategy(Protocol):
    """Makes one update of those of a round; a new object for each round.

    :class:`task.aggregation.Aggregation` calls it on every backend, with updates that are checked already.
    """

    keeps_updates: ClassVar[bool]  # whether all updates of a round are in memory at once, not just one

    def __init__(self, *parameters: float) -> None: ...

    @property
    def least_updates(self) -> int:
        """The fewest updates that it can work with."""

    def add(self, update: Weights, num_examples: int) -> None:
        """Take the weights of one client, trained on so many examples; in ascending client order."""

    def result(self) -> Weights:
        """Return the next global weights, as float32; there are :attr:`least_updates` updates or more."""
