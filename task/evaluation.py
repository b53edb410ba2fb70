"""How good the global model is on the 10,000 test images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from task.job import ModelName
from task.models import forward, pixels
from task.runtime import tensorflow
from task.weights import Weights

_BATCH = 500  # images; large enough to amortise a call, small enough for the second-level cache


@dataclass(frozen=True)
class Evaluation:
    """Share of test images labelled rightly, in [0, 1], and mean cross-entropy in nats."""

    test_accuracy: float
    test_loss: float


def evaluate(model: ModelName, weights: Weights, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Evaluation:
    """Evaluate on one thread, always in the same batches, so that every backend gets the same figures.

    Parameters
    ----------
    images, labels
        Shapes [n, 28, 28] and [n].
    """
    tf = tensorflow()
    parameters = {name: tf.constant(array) for name, array in weights.items()}
    correct, loss = 0, 0.0
    for start in range(0, len(labels), _BATCH):
        batch = slice(start, start + _BATCH)
        hits, batch_loss = _judge(model)(parameters, tf.constant(pixels(images[batch])), tf.constant(labels[batch]))
        correct += int(hits)
        loss += float(batch_loss)
    return Evaluation(correct / len(labels), loss / len(labels))


@cache
def _judge(model: ModelName) -> Any:
    """Return the traced function (parameters, pixels, labels) -> (number right, summed loss in float64)."""
    tf = tensorflow()

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow carries no types
    def judge(parameters: Any, inputs: Any, labels: Any) -> Any:
        logits = forward(model, parameters, inputs)
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64), tf.int32))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
        return hits, tf.reduce_sum(tf.cast(losses, tf.float64))

    return judge
