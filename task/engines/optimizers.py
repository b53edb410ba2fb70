"""The optimizers of local training, each for both engines: TensorFlow graph code, and NumPy in place.

The formulas and defaults are those of Keras' optimizers of the same names, which tests compare the training loop with.
State is a flat mapping of float32 arrays, so that it travels like weights do: scalars of the whole optimizer
(``step``, ``momentum_product``) and ``<parameter>/<slot>`` per parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from task.engines.runtime import tensorflow
from task.job import ModelName, OptimizerName
from task.models import weights_like
from task.weights import Weights

Variables = dict[str, Any]  # name -> tf.Variable or tf.Tensor


class Optimizer(Protocol):
    """Changes parameters in place, given their gradients."""

    scalars: ClassVar[dict[str, float]]
    slots: ClassVar[tuple[str, ...]]

    def tensorflow_step(self, parameters: Variables, state: Variables, gradients: Variables) -> None:
        """Take one step inside a TensorFlow graph; parameters and state are variables, gradients are tensors."""

    def numpy_step(self, parameters: Weights, state: Weights, gradients: Weights) -> None:
        """Take the same step on float32 arrays."""


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent without momentum: w -= lr g."""

    learning_rate: float
    scalars: ClassVar[dict[str, float]] = {}
    slots: ClassVar[tuple[str, ...]] = ()

    def tensorflow_step(self, parameters: Variables, state: Variables, gradients: Variables) -> None:
        """See :class:`Optimizer`."""
        for name, gradient in gradients.items():
            parameters[name].assign_sub(self.learning_rate * gradient)

    def numpy_step(self, parameters: Weights, state: Weights, gradients: Weights) -> None:
        """See :class:`Optimizer`."""
        for name, gradient in gradients.items():
            parameters[name] -= self.learning_rate * gradient


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma, Ba 2015), with Keras' place for epsilon: outside the bias correction."""

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    scalars: ClassVar[dict[str, float]] = {"step": 0.0}
    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def tensorflow_step(self, parameters: Variables, state: Variables, gradients: Variables) -> None:
        """See :class:`Optimizer`."""
        tf = tensorflow()
        step = state["step"].assign_add(1.0)
        rate = self.learning_rate * tf.sqrt(1 - tf.pow(self.beta_2, step)) / (1 - tf.pow(self.beta_1, step))
        for name, gradient in gradients.items():
            m, v = state[f"{name}/m"], state[f"{name}/v"]
            m.assign_add((gradient - m) * (1 - self.beta_1))
            v.assign_add((tf.square(gradient) - v) * (1 - self.beta_2))
            parameters[name].assign_sub(m * rate / (tf.sqrt(v) + self.epsilon))

    def numpy_step(self, parameters: Weights, state: Weights, gradients: Weights) -> None:
        """See :class:`Optimizer`."""
        beta_1, beta_2 = np.float32(self.beta_1), np.float32(self.beta_2)
        state["step"] += 1
        steps = state["step"]
        rate = np.float32(self.learning_rate) * np.sqrt(1 - beta_2**steps) / (1 - beta_1**steps)
        for name, gradient in gradients.items():
            m, v = state[f"{name}/m"], state[f"{name}/v"]
            m += (gradient - m) * (1 - self.beta_1)
            v += (np.square(gradient) - v) * (1 - self.beta_2)
            parameters[name] -= m * rate / (np.sqrt(v) + self.epsilon)


@dataclass(frozen=True)
class Nadam:
    """Adam with Nesterov momentum on a warming schedule (Dozat 2016), mu_t = beta_1 (1 - 0.96^t / 2)."""

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    scalars: ClassVar[dict[str, float]] = {"step": 0.0, "momentum_product": 1.0}
    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def tensorflow_step(self, parameters: Variables, state: Variables, gradients: Variables) -> None:
        """See :class:`Optimizer`."""
        tf = tensorflow()
        # float32 constants: 1 - beta_2 is rounded as Keras rounds it, which a diverging client would magnify.
        beta_1, beta_2 = tf.constant(self.beta_1), tf.constant(self.beta_2)
        step = state["step"].assign_add(1.0)
        mu, mu_next = (beta_1 * (1 - 0.5 * tf.pow(0.96, when)) for when in (step, step + 1))
        product = state["momentum_product"]
        product = product.assign(product * beta_1 * (1 - 0.5 * tf.pow(0.96, step)))
        for name, gradient in gradients.items():
            m, v = state[f"{name}/m"], state[f"{name}/v"]
            m.assign_add((gradient - m) * (1 - beta_1))
            v.assign_add((tf.square(gradient) - v) * (1 - beta_2))
            m_hat = mu_next * m / (1 - product * mu_next) + (1 - mu) * gradient / (1 - product)
            v_hat = v / (1 - tf.pow(beta_2, step))
            parameters[name].assign_sub(m_hat * self.learning_rate / (tf.sqrt(v_hat) + self.epsilon))

    def numpy_step(self, parameters: Weights, state: Weights, gradients: Weights) -> None:
        """See :class:`Optimizer`."""
        beta_1, beta_2 = np.float32(self.beta_1), np.float32(self.beta_2)
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
            parameters[name] -= m_hat * self.learning_rate / (np.sqrt(v_hat) + self.epsilon)


OPTIMIZERS: dict[OptimizerName, Callable[[float], Optimizer]] = {  # name -> (learning rate -> optimizer)
    "sgd": Sgd,
    "adam": Adam,
    "nadam": Nadam,
}


def state_like(model: ModelName, optimizer: OptimizerName) -> Weights:
    """Return arrays of the names and shapes of an optimizer's state that take next to no memory."""
    made = OPTIMIZERS[optimizer](1.0)
    return arrays_like(weights_like(model), made.scalars, made.slots)


def arrays_like(parameters: Weights, scalars: Mapping[str, float], slots: Iterable[str]) -> Weights:
    """Return scalars, and for each parameter the array of each slot, in the place of which is the parameter's own."""
    numbers = {name: np.array(value, np.float32) for name, value in scalars.items()}
    return numbers | {f"{name}/{slot}": array for name, array in parameters.items() for slot in slots}


def fresh_state(optimizer: Optimizer, parameters: dict[str, tuple[int, ...]]) -> Weights:
    """Return the state of an optimizer that has taken no step, for parameters of the given shapes."""
    zeros = {name: np.zeros(shape, np.float32) for name, shape in parameters.items()}
    return arrays_like(zeros, optimizer.scalars, optimizer.slots)
