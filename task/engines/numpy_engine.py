"""Training and evaluation of dense networks in NumPy: no graph, nothing to compile, and a worker of some 60 MB.

The arithmetic is float32 like TensorFlow's; the two differ by rounding only. Images become float32 one batch at a time,
so that a client's memory grows only with the bytes of its images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from task.engines.engine import NO_IMAGE, Terms
from task.engines.optimizers import OPTIMIZERS, Optimizer, fresh_state
from task.job import ModelName, OptimizerName
from task.models import MODELS, Conv, Dense, parameter_shapes, pixels
from task.weights import Weights

Array = NDArray[np.float32]


@cache
def use_one_thread() -> None:
    """Limit BLAS to one thread until the process ends.

    With more threads BLAS could divide a sum at another place, and would take cores that other clients count on.
    """
    threadpool_limits(1, user_api="blas")


@dataclass(frozen=True)
class Trainer:
    """A training loop over batches."""

    model: ModelName
    optimizer: Optimizer
    terms: Terms

    def train(
        self,
        weights: Weights,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        order: NDArray[np.int32],
        optimizer_state: Weights | None = None,
        shift: Weights | None = None,
    ) -> tuple[Weights, Weights, NDArray[np.float32]]:
        """Train as :meth:`task.engines.engine.Trainer.train` says."""
        start, weights = weights, {name: array.copy() for name, array in weights.items()}
        before = optimizer_state or fresh_state(self.optimizer, parameter_shapes(self.model))
        state = {name: array.copy() for name, array in before.items()}
        losses = np.empty(len(order), np.float32)
        for number, padded in enumerate(order):
            batch = padded[padded != NO_IMAGE]
            gradients, losses[number] = differentiate(self.model, weights, pixels(images[batch]), labels[batch])
            if self.terms.mu:
                for name, array in start.items():
                    gradients[name] += self.terms.mu * (weights[name] - array)
            for name, array in (shift or {}).items():
                gradients[name] += array
            self.optimizer.numpy_step(weights, state, gradients)
        return weights, state, losses


def trainer(model: ModelName, optimizer: OptimizerName, learning_rate: float, batch_size: int, terms: Terms) -> Trainer:
    """Return the training loop; there is nothing to compile, and no batch size to compile it for."""
    return Trainer(model, OPTIMIZERS[optimizer](learning_rate), terms)


def judge(
    model: ModelName, weights: Weights, images: NDArray[np.uint8], labels: NDArray[np.uint8], batch: int
) -> Iterator[tuple[int, float]]:
    """Judge each batch as :meth:`task.engines.engine.Engine.judge` says."""
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        logits = forward(model, weights, pixels(images[part]))[-1]
        losses, _ = cross_entropy(logits, labels[part])
        yield int((logits.argmax(axis=1) == labels[part]).sum()), float(losses.sum(dtype=np.float64))


def differentiate(
    model: ModelName, weights: Weights, inputs: Array, labels: NDArray[np.uint8]
) -> tuple[Weights, np.float32]:
    """Return the gradient of the mean cross-entropy of a batch by every parameter, and that mean.

    Parameters
    ----------
    inputs
        Images in [0, 1], [batch, 28, 28].
    """
    values = forward(model, weights, inputs)
    losses, error = cross_entropy(values[-1], labels)
    error /= np.float32(len(labels))
    gradients: Weights = {}
    for layer, below in reversed(list(zip(_dense(model), values[:-1], strict=True))):
        gradients[f"{layer.name}/kernel"] = below.T @ error
        gradients[f"{layer.name}/bias"] = error.sum(axis=0)
        if below is not values[0]:  # the gradient of the images is not needed; all layers but the last are rectified
            error = (error @ weights[f"{layer.name}/kernel"].T) * (below > 0)
    return gradients, losses.mean()


def forward(model: ModelName, weights: Weights, inputs: Array) -> list[Array]:
    """Return the flat images and what each layer makes of them; the last one's values are the logits [batch, 10]."""
    values = [inputs.reshape(len(inputs), -1)]
    for layer in _dense(model):
        sums = values[-1] @ weights[f"{layer.name}/kernel"] + weights[f"{layer.name}/bias"]
        values.append(np.maximum(sums, 0) if layer.relu else sums)
    return values


def cross_entropy(logits: Array, labels: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Return each image's cross-entropy in nats [batch], and its gradient by the logits [batch, 10].

    The largest logit is taken off first, so that no exponential overflows.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    losses = np.log(sums[:, 0]) - shifted[rows, labels]
    error = exponentials / sums
    error[rows, labels] -= 1
    return losses, error


def _dense(model: ModelName) -> tuple[Dense, ...]:
    """Return the layers; raises :class:`ValueError` for a model that this engine cannot learn."""
    layers = MODELS[model].layers
    if any(isinstance(layer, Conv) for layer in layers):
        raise ValueError(f"{model} has convolutions, which the NumPy engine does not have; TensorFlow learns it")
    return tuple(layer for layer in layers if isinstance(layer, Dense))
