"""The part of strategies that must see all updates of a round at once: they take n times the memory of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from task.strategies.strategy import Strategy
from task.weights import Weights


class KeptUpdates(Strategy):
    """Keeps the updates of a round. Each has one vote, however many examples it says that it stands for."""

    keeps_updates: ClassVar[bool] = True

    def __init__(self) -> None:
        self._updates: list[Weights] = []

    def add(self, update: Weights, num_examples: int) -> None:
        """See :class:`task.strategies.strategy.Strategy`."""
        self._updates.append(update)

    def sorted_values(self, name: str) -> NDArray[np.float32]:
        """Return the values of an array in all updates, [updates, *shape], each coordinate in ascending order."""
        stacked: NDArray[np.float32] = np.stack([update[name] for update in self._updates])
        stacked.sort(axis=0)
        return stacked


def mean(updates: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the plain mean over the first axis, summed in float64 and in order, and rounded once."""
    total: NDArray[Any] = np.zeros(updates[0].shape, np.float64)
    for array in updates:
        total = total + array
    return np.asarray(total / len(updates), np.float32)
