"""Krum and Multi-Krum (Blanchard, El Mhamdi, Guerraoui, Stainer 2017)."""

from __future__ import annotations

import numpy as np

from task.strategies.kept_updates import KeptUpdates, mean
from task.weights import Weights, distance


class Krum(KeptUpdates):
    """Takes the updates that are closest to their neighbours.

    An update's score is the sum of the squared distances to its ``n - f - 2`` nearest others; the ``m`` updates with
    the lowest scores are averaged (``m = 1``: Krum). Of equal scores, the lower client id wins. All updates are in
    memory at once, and the time grows with the square of their number.

    Parameters
    ----------
    f
        How many clients of a round may be poisoned; it takes ``2 f + 3`` updates or more.
    m
        How many updates are averaged, at most ``n - f``.

    Examples
    --------
    >>> krum = Krum(f=1, m=1)
    >>> for value in (1.0, 2.0, 3.0, 4.0, 9.0):
    ...     krum.add({"w": np.float32([value])}, num_examples=1)
    >>> krum.result()["w"]
    array([2.], dtype=float32)
    """

    def __init__(self, f: int, m: int) -> None:
        super().__init__()
        if f < 0 or m < 1:
            raise ValueError(f"f={f}, m={m}: must be 0 or more, and 1 or more")
        self._f, self._m = f, m
        self.least_updates = max(2 * f + 3, m + f)

    def result(self) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        best = sorted(np.argsort(self._scores(), kind="stable")[: self._m])
        chosen = [self._updates[index] for index in best]
        return {name: mean([update[name] for update in chosen]) for name in chosen[0]}

    def _scores(self) -> list[float]:
        number = len(self._updates)
        squared = np.zeros((number, number))
        for one in range(number):
            for other in range(one):
                squared[one, other] = squared[other, one] = distance(self._updates[one], self._updates[other]) ** 2
        neighbours = number - self._f - 2
        return [float(np.sort(np.delete(squared[one], one))[:neighbours].sum()) for one in range(number)]
