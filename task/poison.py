"""Simulated poisoners: some clients of a run send another update than they learnt. For experiments with strategies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from task.job import FederatedJob
from task.randomness import Stream, generator
from task.weights import Weights

Attack = Callable[[NDArray[np.float32], float, np.random.Generator], NDArray[np.float64]]
ATTACKS: dict[str, Attack] = {  # name -> (the honest difference, scale, randomness) -> the difference that is sent
    "sign_flip": lambda difference, scale, rng: -scale * difference.astype(np.float64),
    "gaussian": lambda difference, scale, rng: rng.normal(0.0, scale, difference.shape),
    "constant": lambda difference, scale, rng: np.full(difference.shape, scale, np.float64),
}


def poisoners(job: FederatedJob) -> frozenset[int]:
    """Return which clients of a run are poisoned: ``poison.share`` of all, rounded, drawn once by the seed.

    Examples
    --------
    >>> poisoners(FederatedJob())
    frozenset()
    """
    number = round(job.poison.share * job.clients)
    drawn = generator(job.seed, Stream.POISONERS).choice(job.clients, size=number, replace=False)
    return frozenset(int(client) for client in drawn)


def poisoned(job: FederatedJob, client_id: int, server_round: int, start: Weights, trained: Weights) -> Weights:
    """Return what a client sends: what it learnt, unless it is poisoned.

    Parameters
    ----------
    start
        The global weights that it began with; an attack replaces the difference from them.
    """
    if job.poison.share == 0 or client_id not in poisoners(job):
        return trained
    attack, rng = ATTACKS[job.poison.attack], generator(job.seed, Stream.POISON, client_id, server_round)
    return {
        name: (start[name] + attack(array - start[name], job.poison.scale, rng)).astype(np.float32)
        for name, array in trained.items()
    }
