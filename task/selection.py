"""Which clients take part in a round."""

from __future__ import annotations

from task.job import FederatedJob
from task.randomness import Stream, generator


def select_clients(job: FederatedJob, server_round: int) -> tuple[int, ...]:
    """Draw ``clients_per_round`` of ``clients`` without replacement.

    Parameters
    ----------
    server_round
        1-based number of the round; the draw depends on it and on ``job.seed`` alone. With ``selection="fixed"`` every
        round has the draw of the first.

    Returns
    -------
    tuple of int
        Client ids in ascending order: the order in which updates are averaged.

    Raises
    ------
    ValueError
        With ``selection="fastest_mix"``, which is no draw.
    """
    if job.selection == "fastest_mix":
        raise ValueError("selection=fastest_mix depends on measured durations: only functions are selected by it")
    rng = generator(job.seed, Stream.SELECTION, 1 if job.selection == "fixed" else server_round)
    chosen = rng.choice(job.clients, size=job.clients_per_round, replace=False)
    return tuple(sorted(int(client) for client in chosen))
