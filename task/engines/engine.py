"""Engines, the modules that compute a model: TensorFlow, or NumPy alone for a worker that starts fast and stays small.

The model decides which engine, so that every backend learns with the same one. A process never imports an engine that
its models do not need: TensorFlow takes seconds to start and some 500 MB, NumPy a tenth of a second and 30 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from task.job import ModelName, OptimizerName
from task.models import MODELS, EngineName
from task.weights import Weights

NO_IMAGE = -1  # fills the last batch of an epoch up to the batch size


@dataclass(frozen=True)
class Terms:
    """What a strategy adds to the gradient of every local step.

    Parameters
    ----------
    mu
        Adds ``mu`` times the parameters' difference from those that training began with.
    shifted
        Whether arrays are added that :meth:`Trainer.train` gets.
    """

    mu: float = 0.0
    shifted: bool = False


class Trainer(Protocol):
    """A training loop for one kind of training."""

    def train(
        self,
        weights: Weights,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        order: NDArray[np.int32],
        optimizer_state: Weights | None = None,
        shift: Weights | None = None,
    ) -> tuple[Weights, Weights, NDArray[np.float32]]:
        """Train through the batches of ``order`` (:func:`task.training.batch_order`); the arguments stay as they are.

        Parameters
        ----------
        shift
            Added to every gradient; ``None`` where :attr:`Terms.shifted` is false.

        Returns
        -------
        tuple
            New weights, new optimizer state, and the loss of each batch.
        """


class Engine(Protocol):
    """The functions that a module must have to be an engine."""

    def use_one_thread(self) -> None:
        """Make this process compute with one thread from now on."""

    def trainer(
        self, model: ModelName, optimizer: OptimizerName, learning_rate: float, batch_size: int, terms: Terms
    ) -> Trainer:
        """Return the training loop; it is made, and compiled, once per process."""

    def judge(
        self, model: ModelName, weights: Weights, images: NDArray[np.uint8], labels: NDArray[np.uint8], batch: int
    ) -> Iterator[tuple[int, float]]:
        """Yield how many images of each batch are labelled rightly, and the sum of their losses in nats."""


def engine_name(model: ModelName) -> EngineName:
    """Return the name of the engine that learns ``model``."""
    return MODELS[model].engine


def load_engine(name: EngineName) -> Engine:
    """Import an engine and limit this process to one thread; quick if both has happened already.

    Every process that trains or evaluates comes through here before it computes.
    """
    engine = cast(Engine, import_module(f"task.engines.{name}_engine"))
    engine.use_one_thread()
    return engine
