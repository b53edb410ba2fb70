"""Federated averaging with server momentum (Hsu, Qi, Brown 2019): v = momentum v + delta, w += eta v."""

from __future__ import annotations

from typing import ClassVar

from task.strategies.server_optimizer import Array, ServerOptimizer


class FedAvgM(ServerOptimizer):
    """Goes on in the direction of earlier rounds; with ``eta = 1`` and ``momentum = 0`` it is FedAvg.

    Parameters
    ----------
    eta
        The server's learning rate, above 0.
    momentum
        Share of the last step that the next one begins with, from 0 to below 1.
    """

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __init__(self, eta: float, momentum: float) -> None:
        super().__init__()
        self._eta, self._momentum = eta, momentum

    def change(self, delta: Array, slots: dict[str, Array], step: int) -> Array:
        """See :class:`task.strategies.server_optimizer.ServerOptimizer`."""
        slots["velocity"] = self._momentum * slots["velocity"] + delta
        return self._eta * slots["velocity"]
