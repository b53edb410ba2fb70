"""FedYogi (Reddi et al. 2021, algorithm 2): v = v - (1 - beta_2) delta^2 sign(v - delta^2)."""

from __future__ import annotations

import numpy as np

from task.strategies.server_optimizer import Adaptive, Array


class FedYogi(Adaptive):
    """Yogi as the server's optimizer: like Adam, but ``v`` grows by no more than the new square."""

    def second_moment(self, v: Array, squared: Array) -> Array:
        """See :class:`task.strategies.server_optimizer.Adaptive`."""
        return v - (1 - self._beta_2) * squared * np.sign(v - squared)
