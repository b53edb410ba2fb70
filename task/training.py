"""Local training: the one function that every backend calls, and the hot path of the whole harness.

Keras' ``fit`` spends most of its time outside arithmetic at a batch of 10. Here the loop over epochs and batches runs
inside one TensorFlow graph, traced once per process, and so does not return to Python between two batches.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from task.job import FederatedJob, ModelName, OptimizerName
from task.models import forward, parameter_shapes, pixels
from task.optimizers import OPTIMIZERS, fresh_state
from task.randomness import Stream, generator
from task.runtime import tensorflow
from task.weights import Weights

_NO_IMAGE = -1  # fills the last batch of an epoch up to the batch size


class Stopwatch(Protocol):
    """Whatever times the phases of a piece of work (:class:`metrics.probe.Probe` does)."""

    def phase(self, name: str, /) -> AbstractContextManager[None]:
        """Time a phase."""


@dataclass(frozen=True)
class Update:
    """What a client sends back.

    Parameters
    ----------
    weights
        Its weights after local training.
    optimizer_state
        Its optimizer's state, or ``None`` if the job resets it every round.
    num_examples
        Its training images: the weight of the update in the average.
    train_loss
        Mean cross-entropy, in nats, over the last local epoch.
    """

    weights: Weights
    optimizer_state: Weights | None
    num_examples: int
    train_loss: float


def local_update(
    job: FederatedJob,
    client_id: int,
    server_round: int,
    weights: Weights,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    optimizer_state: Weights | None,
    stopwatch: Stopwatch,
) -> Update:
    """Train the global weights on one client's images.

    The result depends on the arguments alone: not on the process, its earlier work, or the order of the clients.

    Parameters
    ----------
    weights
        The global weights of this round.
    images, labels
        The client's data: uint8, shapes [n, 28, 28] and [n].
    optimizer_state
        What the client's last update returned; ``None`` starts afresh.
    stopwatch
        Gets the phases ``compile`` (next to nothing after the first call in a process) and ``train``.
    """
    with stopwatch.phase("compile"):
        trainer = _trainer(job.model, job.optimizer, job.learning_rate, job.batch_size)
    with stopwatch.phase("train"):
        order = batch_order(job, client_id, server_round, len(labels))
        trained, state, losses = trainer.train(weights, images, labels, order, optimizer_state)
    return Update(
        weights=trained,
        optimizer_state=state if job.optimizer_state == "keep" else None,
        num_examples=len(labels),
        train_loss=_last_epoch_mean(losses, order, job.local_epochs),
    )


def batch_order(job: FederatedJob, client_id: int, server_round: int, num_examples: int) -> NDArray[np.int32]:
    """Return which images make up each batch of a client's round.

    Every epoch is a new permutation, decided by (seed, client, round) alone.

    Returns
    -------
    ndarray
        Shape [epochs * ceil(n / batch_size), batch_size]; the last batch of an epoch is filled up with -1.
    """
    rng = generator(job.seed, Stream.BATCH_ORDER, client_id, server_round)
    batches = -(-num_examples // job.batch_size)
    order = np.full((job.local_epochs, batches * job.batch_size), _NO_IMAGE, np.int32)
    for epoch in order:
        epoch[:num_examples] = rng.permutation(num_examples)
    return order.reshape(-1, job.batch_size)


class Trainer:
    """A traced training loop with the variables it works on; one per process and kind of training."""

    def __init__(self, model: ModelName, optimizer: OptimizerName, learning_rate: float, batch_size: int) -> None:
        tf = tensorflow()
        shapes = parameter_shapes(model)
        self._optimizer = OPTIMIZERS[optimizer](learning_rate)
        self._fresh_state = fresh_state(self._optimizer, shapes)
        self._parameters = {name: tf.Variable(tf.zeros(shape)) for name, shape in shapes.items()}
        self._state = {name: tf.Variable(array) for name, array in self._fresh_state.items()}
        self._loop = self._build(model, batch_size)
        # One batch of nothing traces and compiles everything now, not in the first client's training time.
        nothing = np.zeros((1, 28, 28), np.float32), np.zeros(1, np.int32)
        self._loop(*nothing, np.zeros((1, batch_size), np.int32))

    def train(
        self,
        weights: Weights,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        order: NDArray[np.int32],
        optimizer_state: Weights | None = None,
    ) -> tuple[Weights, Weights, NDArray[np.float32]]:
        """Train through the batches of ``order``.

        Returns
        -------
        tuple
            New weights, new optimizer state, and the loss of each batch.
        """
        for variables, values in (
            (self._parameters, weights),
            (self._state, optimizer_state or self._fresh_state),
        ):
            for name, variable in variables.items():
                variable.assign(values[name])
        losses = self._loop(pixels(images), labels.astype(np.int32), order)
        return _values(self._parameters), _values(self._state), losses.numpy()

    def _build(self, model: ModelName, batch_size: int) -> Any:
        """Return the graph (pixels, labels, order) -> loss of each batch."""
        tf = tensorflow()

        def update(gradients: dict[str, Any]) -> None:
            self._optimizer.update(self._parameters, self._state, gradients)

        # XLA fuses the many passes of Adam over the parameters into one. It gets nothing else: its convolutions on a
        # CPU are many times slower than oneDNN's, and its matrix products round otherwise than those of `fit`.
        apply = tf.function(update, jit_compile=True) if self._state else update

        def step(inputs: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = forward(model, self._parameters, inputs)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            apply(tape.gradient(loss, self._parameters))
            return loss

        @tf.function(  # type: ignore[untyped-decorator]  # TensorFlow carries no types
            input_signature=(
                tf.TensorSpec([None, 28, 28], tf.float32),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None, batch_size], tf.int32),
            )
        )
        def loop(inputs: Any, labels: Any, order: Any) -> Any:
            losses = tf.TensorArray(tf.float32, size=tf.shape(order)[0])
            for number in tf.range(tf.shape(order)[0]):
                batch = tf.boolean_mask(order[number], order[number] != _NO_IMAGE)
                losses = losses.write(number, step(tf.gather(inputs, batch), tf.gather(labels, batch)))
            return losses.stack()

        return loop


_trainer = cache(Trainer)


def _last_epoch_mean(losses: NDArray[np.float32], order: NDArray[np.int32], epochs: int) -> float:
    last = slice(-(len(order) // epochs), None)
    return float(np.average(losses[last], weights=(order[last] != _NO_IMAGE).sum(axis=1)))


def _values(variables: dict[str, Any]) -> Weights:
    return {name: variable.numpy() for name, variable in variables.items()}
