"""Where a run of either baseline begins: at its first round, or after the last complete one of an earlier process.

A module of its own, because it is all that the two baselines have in common.
"""

from __future__ import annotations

from metrics.collect.checkpoints import ResumePoint
from task.job import FederatedJob
from task.models import initial_weights
from task.weights import Weights, restore


def start_of(job: FederatedJob, point: ResumePoint | None) -> tuple[Weights, dict[int, bytes]]:
    """Return the global weights to start from, and each client's kept optimizer state as safetensors.

    Raises
    ------
    task.weights.CorruptWeights
        If the checkpoint's weights are not those that its round ended with.
    """
    if point is None or point.weights is None:
        return initial_weights(job.model, job.seed), {}
    return restore(point.weights, point.weights_sha256), dict(point.states)


def rounds_left(job: FederatedJob, point: ResumePoint | None) -> range:
    """Return the rounds that are still to be run."""
    return job.rounds_after(point.server_round, point.test_accuracy) if point else job.rounds_after()
