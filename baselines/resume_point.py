"""Where a run of either baseline begins: at its first round, or after the last complete one of an earlier process.

A module of its own, because it is all that the two baselines have in common.
"""

from __future__ import annotations

from metrics.collect.checkpoints import SERVER, ResumePoint
from task.job import FederatedJob
from task.models import initial_weights
from task.states import server_state_like
from task.weights import Weights, dumps, read, restore


def start_of(job: FederatedJob, point: ResumePoint | None) -> tuple[Weights, Weights, dict[int, bytes]]:
    """Return the global weights to start from, the strategy's state, and each client's kept state as safetensors.

    Raises
    ------
    task.weights.CorruptWeights
        If the checkpoint's weights are not those that its round ended with, or the strategy's state is damaged.
    """
    if point is None or point.weights is None:
        return initial_weights(job.model, job.seed), server_state_like(job), {}
    states = dict(point.states)
    kept, like = states.pop(SERVER, None), server_state_like(job)
    return restore(point.weights, point.weights_sha256), read(kept, like) if kept is not None else like, states


def noted(states: dict[int, bytes], server_state: Weights) -> dict[int, bytes]:
    """Return what a checkpoint notes beside the global weights: the clients' changed states, and the strategy's."""
    return states | ({SERVER: dumps(server_state)} if server_state else {})


def rounds_left(job: FederatedJob, point: ResumePoint | None) -> range:
    """Return the rounds that are still to be run."""
    return job.rounds_after(point.server_round, point.test_accuracy) if point else job.rounds_after()
