"""Selection by what the clients did before: the fast ones first, slower ones mixed in as the run goes on.

After FedLesScan (M. Elzohairy, M. Chadha, A. Jindal, A. Grafberger, J. Gu, M. Gerndt, O. Abboud: "FedLesScan:
Mitigating Stragglers in Serverless Federated Learning", IEEE BigData 2022). Of each round's clients, those that were
never asked come first. Then those that have answered, grouped by DBSCAN over their smoothed durations and smoothed
misses; groups are taken from the fastest on, and the group to begin with moves towards the slowest with the rounds.
Last come clients that missed a round of late and sit out: one round, and twice as many with every miss in a row.

Who is chosen depends on the job's seed and on the recorded durations alone. It favours fast clients; how often each
took part is in :mod:`metrics.analysis.comparisons.clients`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metrics.collect.row_types import InvocationRow
from task.job import FederatedJob
from task.randomness import Stream, generator
from task.selection import select_clients

# Constants of the code that was published with the paper
_TIME_WEIGHT = 0.5  # of the newest duration in the smoothed one
_MISS_WEIGHT = 0.8  # of the newest miss
_MISS_PENALTY = 1.5  # of a fresh miss, in longest durations


class Selector(Protocol):
    """Chooses the clients of a round: it is called once a round, in order, and then gets the round's durations."""

    def select(self, server_round: int) -> tuple[int, ...]:
        """Return client ids in ascending order."""

    def note(self, server_round: int, durations_s: Mapping[int, float]) -> None:
        """Take the seconds of the clients whose updates counted in a round; the others of its clients missed it."""


@dataclass(frozen=True)
class Drawn:
    """``random`` and ``fixed``: the past does not matter."""

    job: FederatedJob

    def select(self, server_round: int) -> tuple[int, ...]:
        """See :class:`Selector`."""
        return select_clients(self.job, server_round)

    def note(self, server_round: int, durations_s: Mapping[int, float]) -> None:
        """See :class:`Selector`."""


@dataclass
class Past:
    """What a client has done so far: seconds, the rounds that it missed, and how long it sits out after the last."""

    durations_s: list[float] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    sits_out: int = 0

    @property
    def is_new(self) -> bool:
        """Whether it was never asked."""
        return not self.durations_s and not self.missed

    def sits_out_in(self, server_round: int) -> bool:
        """Whether it misses this round too, for having missed an earlier one."""
        return bool(self.missed) and server_round <= self.missed[-1] + self.sits_out

    def note(self, server_round: int, seconds: float | None) -> None:
        """Add how a round went: its seconds, or that it was missed."""
        if seconds is None:
            self.missed.append(server_round)
            self.sits_out = max(1, 2 * self.sits_out)
        else:
            self.durations_s.append(seconds)
            self.sits_out = 0


@dataclass
class FastestMix:
    """``fastest_mix``; see the module."""

    job: FederatedJob
    _pasts: list[Past] = field(default_factory=list)
    _chosen: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _first_grouping: int | None = None

    def __post_init__(self) -> None:
        self._pasts = [Past() for _ in range(self.job.clients)]

    def select(self, server_round: int) -> tuple[int, ...]:
        """See :class:`Selector`."""
        rng = generator(self.job.seed, Stream.SELECTION, server_round)
        order = [int(client) for client in rng.permutation(self.job.clients)]  # settles every tie
        new = [client for client in order if self._pasts[client].is_new]
        known = [client for client in order if not self._pasts[client].is_new]
        sitting = [client for client in known if self._pasts[client].sits_out_in(server_round)]
        ready = [client for client in known if client not in sitting]
        wanted = self.job.clients_per_round
        if len(new) < wanted:  # else the new clients are enough, and no groups are needed
            new += self._from_the_fastest(ready, server_round)
        # those that sit out are needed only if all others together are too few
        queue = new + sorted(sitting, key=lambda client: self._pasts[client].missed[-1])
        self._chosen[server_round] = tuple(sorted(queue[:wanted]))
        return self._chosen[server_round]

    def note(self, server_round: int, durations_s: Mapping[int, float]) -> None:
        """See :class:`Selector`."""
        for client in self._chosen.pop(server_round):
            self._pasts[client].note(server_round, durations_s.get(client))

    def _from_the_fastest(self, ready: Sequence[int], server_round: int) -> list[int]:
        """Return these clients in the order in which they are wanted."""
        from serverless.rounds.clustering import grouped  # noqa: PLC0415 - scikit-learn takes a second, and others do without

        if not ready:
            return []
        if self._first_grouping is None:
            self._first_grouping = server_round
        features = self._features(ready, server_round)
        groups: dict[int, list[int]] = {}
        for place, label in enumerate(grouped(features)):
            groups.setdefault(label, []).append(place)
        by_speed = sorted(groups.values(), key=lambda places: float(features[places].sum(axis=1).mean()))
        first = self._first_group(len(by_speed), server_round)
        turned = by_speed[first:] + by_speed[:first]
        asked = [len(past.durations_s) + len(past.missed) for past in self._pasts]
        return [ready[place] for places in turned for place in sorted(places, key=lambda at: asked[ready[at]])]

    def _first_group(self, groups: int, server_round: int) -> int:
        """Return the group to begin with: the fastest at first, the slowest in the last round."""
        since = self._first_grouping or server_round
        progress = (server_round - since) / max(1, self.job.rounds - since)
        return int(progress * (groups - 1))

    def _features(self, clients: Sequence[int], server_round: int) -> NDArray[np.float64]:
        """Return smoothed durations, and smoothed misses as seconds, of shape [clients, 2]."""
        pasts = [self._pasts[client] for client in clients]
        longest = max((max(past.durations_s, default=0.0) for past in pasts), default=0.0)
        rows = [
            (
                _smoothed(past.durations_s, _TIME_WEIGHT),
                _smoothed([missed / server_round for missed in past.missed], _MISS_WEIGHT) * _MISS_PENALTY * longest,
            )
            for past in pasts
        ]
        return np.asarray(rows, dtype=np.float64)


def selector_of(job: FederatedJob, durations_s: Mapping[int, Mapping[int, float]] | None = None) -> Selector:
    """Return the selector of a job, as it is after the rounds whose durations are given.

    Parameters
    ----------
    durations_s
        Round -> client -> seconds of the clients whose updates counted, for every round that is over: a run that goes
        on chooses what it would have chosen without the interruption.
    """
    selector: Selector = FastestMix(job) if job.selection == "fastest_mix" else Drawn(job)
    for server_round in sorted(durations_s or {}):
        selector.select(server_round)
        selector.note(server_round, (durations_s or {})[server_round])
    return selector


def durations_s(rows: Iterable[InvocationRow], last_round: int) -> dict[int, dict[int, float]]:
    """Return, of every round up to ``last_round``, the seconds of the clients whose updates counted.

    They are ``client_s``: what the keeper waited for, queueing, cold start and network included.
    """
    found: dict[int, dict[int, float]] = {server_round: {} for server_round in range(1, last_round + 1)}
    for row in rows:
        if row.status == "success" and row.client_id is not None and row.client_s is not None:
            found.get(row.server_round, {})[row.client_id] = row.client_s
    return found


def _smoothed(values: Sequence[float], weight: float) -> float:
    """Return the exponential moving average; 0 of nothing."""
    average = values[0] if values else 0.0
    for value in values[1:]:
        average = (1 - weight) * average + weight * value
    return average
