"""Which clients take part in a round."""

from __future__ import annotations

from task.job import FederatedJob
from task.randomness import Stream, generator


def select_clients(job: FederatedJob, server_round: int) -> tuple[int, ...]:
    """Draw ``clients_per_round`` of ``clients`` without replacement.

    Parameters
    ----------
    server_round
        1-based number of the round; the draw depends on it and on ``job.seed`` alone.

    Returns
    -------
    tuple of int
        Client ids in ascending order: the order in which updates are averaged.
    """
    rng = generator(job.seed, Stream.SELECTION, server_round)
    chosen = rng.choice(job.clients, size=job.clients_per_round, replace=False)
    return tuple(sorted(int(client) for client in chosen))
