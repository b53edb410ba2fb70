"""The coordinate-wise median (Yin, Chen, Ramchandran, Bartlett 2018, definition 1)."""

from __future__ import annotations

from task.strategies.kept_updates import KeptUpdates, mean
from task.weights import Weights


class Median(KeptUpdates):
    """Takes the median of each coordinate: fewer than half of the clients cannot move it beyond the others' values.

    Of an even number of updates it is the mean of the two in the middle. All updates are in memory at once.

    Examples
    --------
    >>> import numpy as np
    >>> median = Median()
    >>> for value in (1.0, 2.0, 3e38):
    ...     median.add({"w": np.float32([value])}, num_examples=1)
    >>> median.result()["w"]
    array([2.], dtype=float32)
    """

    def result(self) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        least, most = (len(self._updates) - 1) // 2, len(self._updates) // 2 + 1
        return {name: mean(self.sorted_values(name)[least:most]) for name in self._updates[0]}
