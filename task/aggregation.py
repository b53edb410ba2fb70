"""The aggregation of a round: what every backend does with updates, in ascending client order.

Each is checked, and handed to the job's strategy (:mod:`task.strategies`).
"""

from __future__ import annotations

from task.job import FederatedJob
from task.models import weights_like
from task.states import server_state_like
from task.strategies import strategy_of
from task.weights import CorruptWeights, Weights, check, distance


class Aggregation:
    """Makes the next global weights of a round's updates.

    Parameters
    ----------
    job
        The strategy, the model, and the bound of updates.
    start
        The global weights that the clients began with; ``None``: not known, which :func:`needs_start` must allow.
    state
        The strategy's own after the round before; ``None``: there is none yet.
    """

    def __init__(self, job: FederatedJob, start: Weights | None, state: Weights | None = None) -> None:
        if start is None and needs_start(job):
            raise ValueError(
                "without the round's global weights an update's size cannot be held to max_update_norm, and a strategy "
                "with a state cannot step"
            )
        self.num_examples = 0
        self.updates = 0
        self._like = start if start is not None else weights_like(job.model)
        self._bound, self._strategy = job.max_update_norm, strategy_of(job.strategy)
        self._strategy.begin(job, self._like, state or server_state_like(job))
        self._name = job.strategy.name

    def add(self, update: Weights, num_examples: int) -> None:
        """Add one client's weights.

        Raises
        ------
        CorruptWeights
            If they are not finite, have other arrays than they must, or are too far away from the global weights. They
            are not added.
        ValueError
            If ``num_examples`` is not positive.
        """
        if num_examples <= 0:
            raise ValueError(f"num_examples={num_examples}: an update must stand for at least one example")
        check(update, self._like)
        if self._bound is not None and (norm := distance(update, self._like)) > self._bound:
            raise CorruptWeights(
                f"its norm is {norm:.4g}, more than max_update_norm={self._bound:g}: the distance from the global "
                "weights that it was trained from (L2)"
            )
        self._strategy.add(update, num_examples)
        self.num_examples += num_examples
        self.updates += 1

    def result(self) -> Weights:
        """Return the next global weights, as float32.

        Raises
        ------
        ValueError
            If there are fewer updates than the strategy needs.
        """
        if not self.updates:
            raise ValueError("no update to average: every client of the round failed")
        if self.updates < self._strategy.least_updates:
            raise ValueError(
                f"strategy={self._name} needs {self._strategy.least_updates} updates, but there are {self.updates}"
            )
        return self._strategy.result()

    @property
    def state(self) -> Weights:
        """The strategy's own state, after :meth:`result`; nothing if it keeps none."""
        return self._strategy.state


def needs_start(job: FederatedJob) -> bool:
    """Whether the aggregation needs the global weights that the clients began with."""
    return job.max_update_norm is not None or bool(server_state_like(job))
