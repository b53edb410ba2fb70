"""FedAdam (Reddi et al. 2021, algorithm 2): v = beta_2 v + (1 - beta_2) delta^2.

The rate is corrected for the zeros that m and v begin with (Kingma, Ba 2015), which algorithm 2 does not do, and for
one step more than were taken: both as Flower's strategy of this name does.
"""

from __future__ import annotations

from math import sqrt

from task.strategies.server_optimizer import Adaptive, Array


class FedAdam(Adaptive):
    """Adam as the server's optimizer."""

    def second_moment(self, v: Array, squared: Array) -> Array:
        """See :class:`task.strategies.server_optimizer.Adaptive`."""
        return self._beta_2 * v + (1 - self._beta_2) * squared

    def rate(self, step: int) -> float:
        """See :class:`task.strategies.server_optimizer.Adaptive`."""
        return self._eta * sqrt(1 - self._beta_2 ** (step + 1)) / (1 - self._beta_1 ** (step + 1))
