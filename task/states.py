"""What is kept from round to round beside the global weights: each client's state, and the strategy's own.

Both are flat mappings of float32 arrays that travel, and lie in stores and checkpoints, as weights do.
"""

from __future__ import annotations

from task.engines.optimizers import arrays_like, state_like
from task.job import FederatedJob
from task.models import weights_like
from task.strategies import STRATEGIES
from task.weights import Weights


def keeps_client_state(job: FederatedJob) -> bool:
    """Whether a client goes on from what its last round left."""
    return job.optimizer_state == "keep" or bool(STRATEGIES[job.strategy.name].client_slots)


def kept_states(job: FederatedJob) -> list[str]:
    """Return whose states go on: ``client``, ``server``; ``shared``: clients get the server's with the global weights.

    Examples
    --------
    >>> kept_states(FederatedJob()), kept_states(FederatedJob(optimizer_state="keep"))
    ([], ['client'])
    """
    kept = {"client": keeps_client_state(job), "server": server_state_like(job), "shared": shared_state_like(job)}
    return [whose for whose, found in kept.items() if found]


def client_state_like(job: FederatedJob) -> Weights:
    """Return arrays of the names and shapes of a client's state, as it is before its first round.

    Like those of :func:`task.models.weights_like` they take next to no memory, and cannot be written to.
    """
    own = arrays_like(weights_like(job.model), {}, STRATEGIES[job.strategy.name].client_slots)
    return own | (state_like(job.model, job.optimizer) if job.optimizer_state == "keep" else {})


def server_state_like(job: FederatedJob) -> Weights:
    """Return the same of the strategy's own state; nothing if it has none."""
    strategy = STRATEGIES[job.strategy.name]
    return arrays_like(weights_like(job.model), strategy.scalars, strategy.slots)


def shared_state_like(job: FederatedJob) -> Weights:
    """Return the same of what clients get with the global weights; nothing if the strategy shares no state."""
    return server_state_like(job) if STRATEGIES[job.strategy.name].shares_state else {}
