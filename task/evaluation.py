"""Evaluation: the accuracy and the loss of the global model on the test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from task.engines.engine import engine_name, load_engine
from task.job import ModelName
from task.weights import Weights

_BATCH = 500  # images; large enough to amortise a call, small enough for the second-level cache


@dataclass(frozen=True)
class Evaluation:
    """Share of test images that are labelled correctly, in [0, 1], and mean cross-entropy in nats."""

    test_accuracy: float
    test_loss: float


def evaluate(model: ModelName, weights: Weights, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Evaluation:
    """Evaluate on one thread, always in the same batches, so that every backend gets the same figures.

    Parameters
    ----------
    images, labels
        Shapes [n, 28, 28] and [n].
    """
    correct, loss = 0, 0.0
    for hits, batch_loss in load_engine(engine_name(model)).judge(model, weights, images, labels, _BATCH):
        correct += hits
        loss += batch_loss
    return Evaluation(correct / len(labels), loss / len(labels))
