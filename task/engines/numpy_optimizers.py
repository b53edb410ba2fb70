"""The steps of :mod:`task.engines.optimizers` on NumPy arrays: same formulas, same constants, same state."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from task.engines.optimizers import Adam, Nadam, Optimizer, Sgd
from task.weights import Weights


@singledispatch
def step(optimizer: Optimizer, parameters: Weights, state: Weights, gradients: Weights) -> None:
    """Take one step: change ``parameters`` and ``state`` in place, in float32.

    Raises
    ------
    TypeError
        If the optimizer has no step here.
    """
    raise TypeError(f"{type(optimizer).__name__} has no step in NumPy")


@step.register
def _sgd(optimizer: Sgd, parameters: Weights, state: Weights, gradients: Weights) -> None:
    for name, gradient in gradients.items():
        parameters[name] -= optimizer.learning_rate * gradient


@step.register
def _adam(optimizer: Adam, parameters: Weights, state: Weights, gradients: Weights) -> None:
    beta_1, beta_2 = np.float32(optimizer.beta_1), np.float32(optimizer.beta_2)
    state["step"] += 1
    steps = state["step"]
    rate = np.float32(optimizer.learning_rate) * np.sqrt(1 - beta_2**steps) / (1 - beta_1**steps)
    for name, gradient in gradients.items():
        m, v = state[f"{name}/m"], state[f"{name}/v"]
        m += (gradient - m) * (1 - optimizer.beta_1)
        v += (np.square(gradient) - v) * (1 - optimizer.beta_2)
        parameters[name] -= m * rate / (np.sqrt(v) + optimizer.epsilon)


@step.register
def _nadam(optimizer: Nadam, parameters: Weights, state: Weights, gradients: Weights) -> None:
    beta_1, beta_2 = np.float32(optimizer.beta_1), np.float32(optimizer.beta_2)
    state["step"] += 1
    steps = state["step"]
    mu, mu_next = (beta_1 * (1 - np.float32(0.5) * np.float32(0.96) ** when) for when in (steps, steps + 1))
    state["momentum_product"] *= mu
    product = state["momentum_product"]
    for name, gradient in gradients.items():
        m, v = state[f"{name}/m"], state[f"{name}/v"]
        m += (gradient - m) * (1 - beta_1)
        v += (np.square(gradient) - v) * (1 - beta_2)
        m_hat = mu_next * m / (1 - product * mu_next) + (1 - mu) * gradient / (1 - product)
        v_hat = v / (1 - beta_2**steps)
        parameters[name] -= m_hat * optimizer.learning_rate / (np.sqrt(v_hat) + optimizer.epsilon)
