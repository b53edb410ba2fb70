"""The coordinate-wise trimmed mean (Yin, Chen, Ramchandran, Bartlett 2018, definition 2)."""

from __future__ import annotations

from task.strategies.kept_updates import KeptUpdates, mean
from task.weights import Weights


class TrimmedMean(KeptUpdates):
    """Leaves out the ``beta`` largest and the ``beta`` smallest share of each coordinate, and averages the rest.

    It holds against less than ``beta`` of the clients. All updates are in memory at once.

    Parameters
    ----------
    beta
        Share of the updates that is left out at each end, rounded down to whole updates; from 0 to below 1/2.

    Examples
    --------
    >>> import numpy as np
    >>> trimmed = TrimmedMean(beta=0.25)
    >>> for value in (-3e38, 1.0, 2.0, 3e38):
    ...     trimmed.add({"w": np.float32([value])}, num_examples=1)
    >>> trimmed.result()["w"]
    array([1.5], dtype=float32)
    """

    def __init__(self, beta: float) -> None:
        super().__init__()
        if not 0 <= beta < 0.5:
            raise ValueError(f"beta={beta}: must be from 0 to below 0.5")
        self._beta = beta

    def result(self) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        cut = int(self._beta * len(self._updates) + 1e-9)  # 0.1 of 30 are 3, though 0.1 * 30 may be less
        return {name: mean(self.sorted_values(name)[cut : len(self._updates) - cut]) for name in self._updates[0]}
