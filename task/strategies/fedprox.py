"""FedProx (Li et al. 2020): clients minimise their loss + mu / 2 ||w - w_global||^2; updates are averaged as in FedAvg.

Each local step adds ``mu (w - w_global)`` to the gradient. That clients may work less, as in the paper, is left out.
"""

from __future__ import annotations

from task.strategies.fedavg import StreamingAverage


class FedProx(StreamingAverage):
    """Holds clients back near the global weights; with ``mu = 0`` it is FedAvg.

    Parameters
    ----------
    mu
        Weight of the proximal term, 0 or more.
    """

    def __init__(self, mu: float) -> None:
        super().__init__()
        self.mu = mu
