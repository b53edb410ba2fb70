"""When a round is closed: how many updates it waits for, and for how long.

Pure rules; :mod:`serverless.keeper` asks them after every answer. A platform cannot cancel an activation, so whatever
is still running when a round is closed runs on, and is billed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Tally:
    """How far a round is.

    Parameters
    ----------
    invited
        Clients that were selected.
    arrived
        Of these, clients whose update is there and may be averaged.
    failed
        Clients that failed for good: in their last attempt, or for a reason that would repeat itself.
    elapsed_s
        Seconds since the clients were invoked, by the keeper's clock.
    """

    invited: int
    arrived: int = 0
    failed: int = 0
    elapsed_s: float = 0.0

    @property
    def outstanding(self) -> int:
        """Clients that may still answer."""
        return self.invited - self.arrived - self.failed


class RoundPolicy(Protocol):
    """Decides when a round is closed. It never closes below :meth:`needs`."""

    @property
    def deadline_s(self) -> float | None:
        """Seconds after the invocation at which to ask again although nothing has arrived; ``None``: never."""

    def needs(self, invited: int) -> int:
        """Return the fewest updates that a round can be closed with."""

    def counts(self, invited: int) -> int:
        """Return the most updates that a round is closed with."""

    def is_closed(self, tally: Tally) -> bool:
        """Whether the round is closed; once true, more arrivals or time do not make it false."""


@dataclass(frozen=True)
class WaitAll:
    """Every selected client must deliver.

    Examples
    --------
    >>> WaitAll().is_closed(Tally(invited=3, arrived=2)), WaitAll().is_closed(Tally(invited=3, arrived=3))
    (False, True)
    """

    deadline_s: float | None = None

    def needs(self, invited: int) -> int:
        """See :class:`RoundPolicy`."""
        return invited

    def counts(self, invited: int) -> int:
        """See :class:`RoundPolicy`."""
        return invited

    def is_closed(self, tally: Tally) -> bool:
        """See :class:`RoundPolicy`."""
        return tally.arrived >= tally.invited

    def __str__(self) -> str:
        return "wait_all"


@dataclass(frozen=True)
class FirstK:
    """The first ``k`` updates to arrive make the round; the other clients are stragglers.

    Examples
    --------
    >>> FirstK(2).is_closed(Tally(invited=3, arrived=1)), FirstK(2).is_closed(Tally(invited=3, arrived=2))
    (False, True)
    """

    k: int
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k={self.k}: a round must wait for 1 update or more")

    def needs(self, invited: int) -> int:
        """See :class:`RoundPolicy`."""
        return self.k

    def counts(self, invited: int) -> int:
        """See :class:`RoundPolicy`."""
        return self.k

    def is_closed(self, tally: Tally) -> bool:
        """See :class:`RoundPolicy`."""
        return tally.arrived >= self.k

    def __str__(self) -> str:
        return f"first_k (k={self.k})"


@dataclass(frozen=True)
class Deadline:
    """What has arrived ``deadline_s`` after the invocation makes the round, once there are ``min_updates``.

    A round whose clients have all answered, or failed for good, is closed before that. Below ``min_updates`` it goes on
    waiting beyond the deadline.

    Examples
    --------
    >>> policy = Deadline(deadline_s=10.0, min_updates=2)
    >>> policy.is_closed(Tally(invited=3, arrived=2, elapsed_s=9.9)), policy.is_closed(Tally(3, 2, elapsed_s=10.0))
    (False, True)
    >>> policy.is_closed(Tally(invited=3, arrived=1, elapsed_s=99.0)), policy.is_closed(Tally(3, 2, failed=1))
    (False, True)
    """

    deadline_s: float
    min_updates: int

    def __post_init__(self) -> None:
        if self.min_updates < 1 or not self.deadline_s > 0:
            raise ValueError(
                f"deadline_s={self.deadline_s}, min_updates={self.min_updates}: must be more than 0, and 1 or more"
            )

    def needs(self, invited: int) -> int:
        """See :class:`RoundPolicy`."""
        return self.min_updates

    def counts(self, invited: int) -> int:
        """See :class:`RoundPolicy`."""
        return invited

    def is_closed(self, tally: Tally) -> bool:
        """See :class:`RoundPolicy`."""
        is_over = tally.elapsed_s >= self.deadline_s or tally.outstanding == 0
        return is_over and tally.arrived >= self.min_updates

    def __str__(self) -> str:
        return f"deadline ({self.deadline_s:g} s, {self.min_updates} updates at least)"


def is_hopeless(policy: RoundPolicy, tally: Tally) -> bool:
    """Whether a round can no longer be closed, because too many of its clients have failed for good.

    Examples
    --------
    >>> is_hopeless(FirstK(2), Tally(invited=3, failed=1)), is_hopeless(FirstK(2), Tally(invited=3, failed=2))
    (False, True)
    """
    return tally.arrived + tally.outstanding < policy.needs(tally.invited)
