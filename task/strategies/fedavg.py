"""Federated averaging (McMahan et al. 2017), one update at a time.

    w_{t+1} = sum_k n_k w_k / sum_k n_k

The sum is taken in float64 and in the order in which updates are added, and rounded to float32 once at the end. Every
backend adds in ascending client order, so the average does not depend on who finished first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from task.strategies.strategy import Strategy
from task.weights import Weights


class StreamingAverage(Strategy):
    """Averages any number of updates in the memory of one.

    Examples
    --------
    >>> average = StreamingAverage()
    >>> average.add({"w": np.float32([0.0])}, num_examples=1)
    >>> average.add({"w": np.float32([4.0])}, num_examples=3)
    >>> average.result()["w"]
    array([3.], dtype=float32)
    """

    def __init__(self) -> None:
        self._num_examples = 0
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, update: Weights, num_examples: int) -> None:
        """See :class:`task.strategies.strategy.Strategy`."""
        if not self._num_examples:
            self._sums = {name: np.zeros(array.shape, np.float64) for name, array in update.items()}
        for name, array in update.items():
            self._sums[name] += np.multiply(array, num_examples, dtype=np.float64)
        self._num_examples += num_examples

    def result(self) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        return {name: mean.astype(np.float32) for name, mean in self.means()}

    def means(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Yield the average of each array, one at a time."""
        for name, total in self._sums.items():
            yield name, total / self._num_examples
