"""What a run must have learnt, given whose updates counted: task functions alone, no system around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import pandas as pd

from task.aggregation import Aggregation
from task.data import Images
from task.job import FederatedJob
from task.models import initial_weights
from task.partition import make_partition
from task.training import local_update
from task.weights import Weights, sha256


class Untimed:
    """A stopwatch for work that nobody times."""

    def phase(self, name: str, /) -> AbstractContextManager[None]:
        """Time nothing."""
        return nullcontext()


def counted(invocations: pd.DataFrame, rounds: Iterable[int]) -> list[tuple[int, ...]]:
    """Return the clients of each round whose updates were averaged, as ``invocations`` tells, in ascending order."""
    rows = invocations[(invocations["function"] == "client") & (invocations["status"] == "success")]
    return [tuple(sorted(rows.loc[rows["server_round"] == number, "client_id"].astype(int))) for number in rounds]


def replay(job: FederatedJob, mnist: Images, participants: Sequence[tuple[int, ...]]) -> list[str]:
    """Learn with these clients in these rounds; return the hash of the global weights after each round.

    What a client keeps goes on from its last round among these, and the strategy's own state from the round before.
    """
    weights, states, shared = initial_weights(job.model, job.seed), dict[int, Weights](), Weights()
    partition, hashes = make_partition(job, mnist.train_labels), []
    for server_round, clients in enumerate(participants, start=1):
        average = Aggregation(job, weights, shared)
        for client in clients:
            mine = partition.indices[client]
            images, labels = mnist.train_images[mine], mnist.train_labels[mine]
            state = states.get(client)
            update = local_update(job, client, server_round, weights, images, labels, state, Untimed(), shared)
            average.add(update.weights, update.num_examples)
            if update.optimizer_state is not None:
                states[client] = update.optimizer_state
        weights, shared = average.result(), average.state
        hashes.append(sha256(weights))
    return hashes
