"""Training and evaluation inside TensorFlow graphs.

Keras' ``fit`` spends most of its time outside arithmetic at a batch of 10. Here the loop over epochs and batches runs
inside one TensorFlow graph, traced once per process, and so does not return to Python between two batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from task.engines.engine import NO_IMAGE, Terms
from task.engines.optimizers import OPTIMIZERS, fresh_state
from task.engines.runtime import tensorflow
from task.job import ModelName, OptimizerName
from task.models import IMAGE_SHAPE, MODELS, Conv, parameter_shapes, pixels
from task.weights import Weights

tf = tensorflow()


def use_one_thread() -> None:
    """Do nothing more: :func:`task.engines.runtime.tensorflow` has imported TensorFlow with one thread."""


class Trainer:
    """A traced training loop with the variables it works on; one per process and kind of training."""

    def __init__(
        self, model: ModelName, optimizer: OptimizerName, learning_rate: float, batch_size: int, terms: Terms
    ) -> None:
        shapes = parameter_shapes(model)
        self._optimizer = OPTIMIZERS[optimizer](learning_rate)
        self._fresh_state = fresh_state(self._optimizer, shapes)
        self._parameters = {name: tf.Variable(tf.zeros(shape)) for name, shape in shapes.items()}
        self._state = {name: tf.Variable(array) for name, array in self._fresh_state.items()}
        self._mu = terms.mu
        self._start = {name: tf.Variable(tf.zeros(shape)) for name, shape in shapes.items()} if terms.mu else {}
        self._shift = {name: tf.Variable(tf.zeros(shape)) for name, shape in shapes.items()} if terms.shifted else {}
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
        shift: Weights | None = None,
    ) -> tuple[Weights, Weights, NDArray[np.float32]]:
        """Train as :meth:`task.engines.engine.Trainer.train` says."""
        for variables, values in (
            (self._parameters, weights),
            (self._state, optimizer_state or self._fresh_state),
            (self._start, weights),
            (self._shift, shift or {}),
        ):
            for name, variable in variables.items():
                variable.assign(values[name])
        losses = self._loop(pixels(images), labels.astype(np.int32), order)
        return _values(self._parameters), _values(self._state), losses.numpy()

    def _build(self, model: ModelName, batch_size: int) -> Any:
        """Return the graph (pixels, labels, order) -> loss of each batch."""

        def update(gradients: dict[str, Any]) -> None:
            gradients = dict(gradients)  # XLA's own must stay as they are
            for name, start in self._start.items():
                gradients[name] += self._mu * (self._parameters[name] - start)
            for name, shift in self._shift.items():
                gradients[name] += shift
            self._optimizer.tensorflow_step(self._parameters, self._state, gradients)

        # XLA fuses the many passes of Adam over the parameters into one. It gets nothing else: its convolutions on a
        # CPU are many times slower than oneDNN's, and its matrix products round differently from those of `fit`.
        apply = tf.function(update, jit_compile=True, autograph=False) if self._state else update

        def step(inputs: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = forward(model, self._parameters, inputs)
                loss = tf.reduce_mean(_cross_entropy(logits, labels))
            apply(tape.gradient(loss, self._parameters))
            return loss

        # The loop is TensorFlow's own: to translate one from Python takes half as long as all the rest of a first call.
        @tf.function(  # type: ignore[untyped-decorator]  # TensorFlow carries no types
            autograph=False,
            input_signature=(
                tf.TensorSpec([None, 28, 28], tf.float32),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None, batch_size], tf.int32),
            ),
        )
        def loop(inputs: Any, labels: Any, order: Any) -> Any:
            batches = tf.shape(order)[0]

            def one_batch(number: Any, losses: Any) -> tuple[Any, Any]:
                batch = tf.boolean_mask(order[number], order[number] != NO_IMAGE)
                return number + 1, losses.write(number, step(tf.gather(inputs, batch), tf.gather(labels, batch)))

            start = tf.constant(0), tf.TensorArray(tf.float32, size=batches)
            _, losses = tf.while_loop(lambda number, _: number < batches, one_batch, start, parallel_iterations=1)
            return losses.stack()

        return loop


trainer = cache(Trainer)


def judge(
    model: ModelName, weights: Weights, images: NDArray[np.uint8], labels: NDArray[np.uint8], batch: int
) -> Iterator[tuple[int, float]]:
    """Judge each batch as :meth:`task.engines.engine.Engine.judge` says."""
    parameters = {name: tf.constant(array) for name, array in weights.items()}
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        hits, loss = _judge(model)(parameters, tf.constant(pixels(images[part])), tf.constant(labels[part]))
        yield int(hits), float(loss)


@cache
def _judge(model: ModelName) -> Any:
    """Return the traced function (parameters, pixels, labels) -> (number right, summed loss in float64)."""

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow carries no types
    def judge(parameters: Any, inputs: Any, labels: Any) -> Any:
        logits = forward(model, parameters, inputs)
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64), tf.int32))
        losses = _cross_entropy(logits, tf.cast(labels, tf.int32))
        return hits, tf.reduce_sum(tf.cast(losses, tf.float64))

    return judge


def forward(model: ModelName, parameters: dict[str, Any], images: Any) -> Any:
    """Compute logits [batch, 10] from float32 images [batch, 28, 28] in [0, 1], inside a TensorFlow graph."""
    raw = tf.raw_ops  # the operations that `tf.nn` wraps; to import `tf.nn` itself takes an old Keras along
    values = tf.reshape(images, [-1, *IMAGE_SHAPE])
    for layer in MODELS[model].layers:
        kernel, bias = parameters[f"{layer.name}/kernel"], parameters[f"{layer.name}/bias"]
        if isinstance(layer, Conv):
            values = raw.Conv2D(input=values, filter=kernel, strides=[1, 1, 1, 1], padding="VALID")
            values = raw.Relu(features=raw.BiasAdd(value=values, bias=bias))
            values = raw.MaxPool(input=values, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
        else:
            values = tf.matmul(tf.reshape(values, [-1, kernel.shape[0]]), kernel) + bias
            values = raw.Relu(features=values) if layer.relu else values
    return values


def _cross_entropy(logits: Any, labels: Any) -> Any:
    """Return the loss of each image [batch] from logits [batch, 10] and labels [batch]."""
    return tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels).loss


def _values(variables: dict[str, Any]) -> Weights:
    return {name: variable.numpy() for name, variable in variables.items()}
