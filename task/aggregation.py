"""Federated averaging (McMahan et al. 2017), one update at a time.

    w_{t+1} = sum_k n_k w_k / sum_k n_k

The sum is taken in float64 and in the order in which updates are added, and rounded to float32 once at the end. Every
backend adds in ascending client order, so the average does not depend on who finished first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from task.weights import Weights, check


class StreamingAverage:
    """Averages any number of updates in the memory of one.

    Parameters
    ----------
    like
        Weights with the names and shapes that every update must have; ``None``: those of the first one.

    Examples
    --------
    >>> average = StreamingAverage()
    >>> average.add({"w": np.float32([0.0])}, num_examples=1)
    >>> average.add({"w": np.float32([4.0])}, num_examples=3)
    >>> average.result()["w"]
    array([3.], dtype=float32)
    """

    def __init__(self, like: Weights | None = None) -> None:
        self.num_examples = 0
        self.updates = 0
        self._like: Weights = like or {}
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, weights: Weights, num_examples: int) -> None:
        """Add one client's update with its weight.

        Raises
        ------
        CorruptWeights
            If the update is not finite or has other arrays than it must; it is not added.
        ValueError
            If ``num_examples`` is not positive.
        """
        if num_examples <= 0:
            raise ValueError(f"num_examples={num_examples}: an update must stand for at least one example")
        self._like = self._like or weights
        check(weights, like=self._like)
        if not self.updates:
            self._sums = {name: np.zeros(array.shape, np.float64) for name, array in weights.items()}
        for name, array in weights.items():
            self._sums[name] += np.multiply(array, num_examples, dtype=np.float64)
        self.num_examples += num_examples
        self.updates += 1

    def result(self) -> Weights:
        """Return the average, as float32.

        Raises
        ------
        ValueError
            If nothing was added.
        """
        if not self.updates:
            raise ValueError("no update to average: every client of the round failed")
        return {name: (total / self.num_examples).astype(np.float32) for name, total in self._sums.items()}
