"""What a strategy is to its callers: what it adds to a client's step, what it sends, and how updates become weights."""

from __future__ import annotations

from typing import ClassVar

from task.job import FederatedJob
from task.weights import Weights


class Strategy:
    """Makes one update of those of a round, and may change how clients train; a new object for each piece of work.

    :class:`task.aggregation.Aggregation` and :func:`task.training.local_update` call it on every backend. It is a
    function of what :meth:`begin` and :meth:`add` get: done twice, the same work has the same result.

    Parameters
    ----------
    parameters
        Keys of ``strategy`` in the configuration, by the names of the constructor's arguments.
    """

    keeps_updates: ClassVar[bool] = False  # whether all updates of a round are in memory at once, not just one
    scalars: ClassVar[dict[str, float]] = {}  # the numbers of its state, as they are before the first round
    slots: ClassVar[tuple[str, ...]] = ()  # the arrays of its state, one like each parameter; zeros at first
    shares_state: ClassVar[bool] = False  # whether clients get its state with the global weights
    client_slots: ClassVar[tuple[str, ...]] = ()  # arrays that each client keeps for its next round; zeros at first
    optimizers: ClassVar[tuple[str, ...]] = ()  # the only ones of clients that it is made for; none: it takes any
    least_updates: int = 1  # the fewest that it can work with
    mu: float = 0.0  # of the proximal term mu / 2 ||w - w_global||^2 in the loss of a client

    def __init__(self, **parameters: float) -> None: ...

    def begin(self, job: FederatedJob, start: Weights, state: Weights) -> None:
        """Take what a round begins with.

        Parameters
        ----------
        start
            The global weights that clients train from.
        state
            The strategy's own after the round before, by ``<parameter>/<slot>`` and by the names of scalars.
        """
        self.job, self.start, self.state = job, start, state

    def shift(self, kept: Weights) -> Weights | None:
        """Return what is added to the gradient of every local step of a client that kept this; ``None``: nothing."""
        return None

    def client_state(self, kept: Weights, sent: Weights, num_examples: int) -> Weights:
        """Return what a client keeps for its next round, having sent these weights: an array for each client slot."""
        return {}

    def add(self, update: Weights, num_examples: int) -> None:
        """Take the weights of one client, trained on so many examples; in ascending client order."""
        raise NotImplementedError

    def result(self) -> Weights:
        """Return the next global weights, as float32, and put the next state in the place of :attr:`state`.

        There are :attr:`least_updates` updates or more.
        """
        raise NotImplementedError


def local_steps(job: FederatedJob, num_examples: int) -> int:
    """Return how many steps a client of so many images takes in a round.

    Examples
    --------
    >>> local_steps(FederatedJob(local_epochs=2, batch_size=10), 25)
    6
    """
    return int(job.local_epochs * -(-num_examples // job.batch_size))
