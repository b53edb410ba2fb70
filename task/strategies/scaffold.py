"""SCAFFOLD (Karimireddy et al. 2020, algorithm 1 with option II): control variates take the drift out of local steps.

    y <- y - lr (g(y) - c_i + c)                  each local step of client i, from y = x
    c_i+ = c_i - c + (x - y) / (K lr)             after its K steps
    x <- x + eta / |S| sum_S (y_i - x)            the clients S of the round, each alike
    c <- c + 1 / N sum_S (c_i+ - c_i)             N clients in all

A client keeps c_i as it would keep its optimizer's state, and gets c with the global weights. It sends y alone: the
server knows x, c, K and lr, and so c_i+ - c_i as well.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from task.job import FederatedJob
from task.strategies.strategy import Strategy, local_steps
from task.weights import Weights

_SLOT = "control"


class Scaffold(Strategy):
    """Corrects each local step by what the client's gradients differ by from all clients'.

    Parameters
    ----------
    eta
        The server's learning rate, above 0.
    """

    slots: ClassVar[tuple[str, ...]] = (_SLOT,)
    shares_state: ClassVar[bool] = True
    client_slots: ClassVar[tuple[str, ...]] = (_SLOT,)
    optimizers: ClassVar[tuple[str, ...]] = ("sgd",)  # a step must be lr times a gradient

    def __init__(self, eta: float) -> None:
        self._eta, self._updates = eta, 0

    def begin(self, job: FederatedJob, start: Weights, state: Weights) -> None:
        """See :class:`task.strategies.strategy.Strategy`."""
        super().begin(job, start, state)
        self._moved = {name: np.zeros(array.shape, np.float64) for name, array in start.items()}
        self._learnt = {name: np.zeros(array.shape, np.float64) for name, array in start.items()}

    def shift(self, kept: Weights) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        return {name: self.state[_key(name)] - kept[_key(name)] for name in self.start}

    def client_state(self, kept: Weights, sent: Weights, num_examples: int) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        return {
            _key(name): (kept[_key(name)] + self._change(name, array, num_examples)).astype(np.float32)
            for name, array in sent.items()
        }

    def _change(self, name: str, sent: NDArray[np.float32], num_examples: int) -> NDArray[np.float64]:
        """Return by how much a client's control variate changes for one parameter."""
        way = local_steps(self.job, num_examples) * self.job.learning_rate
        difference: NDArray[np.float64] = np.subtract(self.start[name], sent, dtype=np.float64)
        return difference / way - self.state[_key(name)]

    def add(self, update: Weights, num_examples: int) -> None:
        """See :class:`task.strategies.strategy.Strategy`."""
        for name, array in update.items():
            self._moved[name] += np.subtract(array, self.start[name], dtype=np.float64)
            self._learnt[name] += self._change(name, array, num_examples)
        self._updates += 1

    def result(self) -> Weights:
        """See :class:`task.strategies.strategy.Strategy`."""
        self.state = {
            _key(name): (self.state[_key(name)] + total / self.job.clients).astype(np.float32)
            for name, total in self._learnt.items()
        }
        step = self._eta / self._updates
        return {name: (self.start[name] + step * total).astype(np.float32) for name, total in self._moved.items()}


def _key(name: str) -> str:
    return f"{name}/{_SLOT}"
