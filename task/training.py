"""Local training: the one function that every backend calls.

It decides the order of the images and what a client sends back. The model's engine (:mod:`task.engines.engine`) does
the arithmetic, which takes most of the time of a run.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from task.engines.engine import NO_IMAGE, Terms, engine_name, load_engine
from task.job import FederatedJob
from task.poison import poisoned
from task.randomness import Stream, generator
from task.states import client_state_like, keeps_client_state, shared_state_like
from task.strategies import strategy_of
from task.weights import Weights


class Stopwatch(Protocol):
    """An object that times the phases of a piece of work, such as :class:`metrics.collect.probe.Probe`."""

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
        What it keeps for its next round (:mod:`task.states`): its optimizer's state, and the strategy's arrays; or
        ``None``.
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
    shared_state: Weights | None = None,
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
        What the client's last update returned; ``None``: a fresh optimizer.
    stopwatch
        Gets the phases ``compile`` (next to nothing after the first call in a process) and ``train``.
    shared_state
        What the strategy has clients know of its state; ``None``: it is as before the first round, or none is shared.
    """
    strategy, kept = strategy_of(job.strategy), optimizer_state or client_state_like(job)
    strategy.begin(job, weights, shared_state or shared_state_like(job))
    with stopwatch.phase("compile"):
        engine = load_engine(engine_name(job.model))
        terms = Terms(strategy.mu, shifted=bool(strategy.client_slots))
        trainer = engine.trainer(job.model, job.optimizer, job.learning_rate, job.batch_size, terms)
    with stopwatch.phase("train"):
        order = batch_order(job, client_id, server_round, len(labels))
        own = optimizer_state if job.optimizer_state == "keep" else None
        trained, state, losses = trainer.train(weights, images, labels, order, own, strategy.shift(kept))
        sent = poisoned(job, client_id, server_round, weights, trained)
        kept = strategy.client_state(kept, sent, len(labels)) | (state if job.optimizer_state == "keep" else {})
    return Update(
        weights=sent,
        optimizer_state=kept if keeps_client_state(job) else None,
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
    order = np.full((job.local_epochs, batches * job.batch_size), NO_IMAGE, np.int32)
    for epoch in order:
        epoch[:num_examples] = rng.permutation(num_examples)
    return order.reshape(-1, job.batch_size)


def _last_epoch_mean(losses: NDArray[np.float32], order: NDArray[np.int32], epochs: int) -> float:
    last = slice(-(len(order) // epochs), None)
    return float(np.average(losses[last], weights=(order[last] != NO_IMAGE).sum(axis=1)))
