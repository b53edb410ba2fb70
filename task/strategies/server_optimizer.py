"""Server optimizers (Reddi et al. 2021): the average's difference from the global weights is the server's gradient.

    delta = sum_k n_k w_k / sum_k n_k - w_t,   w_{t+1} = w_t + change(delta)

All is computed in float64, and weights and state are rounded to float32 once: what is stored is what the next round
goes on with, whether or not a run was cut off in between.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from task.strategies.fedavg import StreamingAverage
from task.weights import Weights

Array = NDArray[np.float64]


class ServerOptimizer(StreamingAverage):
    """Takes one step for each round, in the memory of one update and of its own state."""

    scalars: ClassVar[dict[str, float]] = {"step": 0.0}

    def change(self, delta: Array, slots: dict[str, Array], step: int) -> Array:
        """Return what is added to the global weights of one parameter.

        Parameters
        ----------
        delta
            The difference of the average from the global weights.
        slots
            This parameter's state by slot; the new one is put in its place.
        step
            Of the server's steps, from 1.
        """
        raise NotImplementedError

    def result(self) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        step, weights = self.state["step"] + np.float32(1), {}
        state: Weights = {"step": np.asarray(step, np.float32)}
        for name, mean in self.means():
            slots = {slot: self.state[f"{name}/{slot}"].astype(np.float64) for slot in self.slots}
            change = self.change(mean - self.start[name], slots, int(step))
            weights[name] = np.asarray(self.start[name] + change, np.float32)
            state |= {f"{name}/{slot}": np.asarray(slots[slot], np.float32) for slot in self.slots}
        self.state = state
        return weights


class Adaptive(ServerOptimizer):
    """A step that is smaller where differences have been large: ``eta m / (sqrt(v) + tau)``.

    Parameters
    ----------
    eta
        The server's learning rate, above 0.
    beta_1, beta_2
        Decay of the mean of differences ``m`` and of that of their squares ``v``, from 0 to below 1.
    tau
        The degree of adaptivity, above 0: the smaller, the more alike are the steps of all weights.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def __init__(self, eta: float, beta_1: float, beta_2: float, tau: float) -> None:
        super().__init__()
        self._eta, self._beta_1, self._beta_2, self._tau = eta, beta_1, beta_2, tau

    def second_moment(self, v: Array, squared: Array) -> Array:
        """Return the next ``v``, given the squared differences."""
        raise NotImplementedError

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self._eta

    def change(self, delta: Array, slots: dict[str, Array], step: int) -> Array:
        """See :class:`ServerOptimizer`."""
        slots["m"] = self._beta_1 * slots["m"] + (1 - self._beta_1) * delta
        slots["v"] = self.second_moment(slots["v"], np.square(delta))
        return self.rate(step) * slots["m"] / (np.sqrt(slots["v"]) + self._tau)
