"""CPU seconds by role, also of processes that have ended.

The kernel keeps the CPU seconds of a living process and of its children that have ended and were waited for (fields 14
to 17 of ``/proc/PID/stat``, man 5 proc). So whenever a child ends, the sum over the living stays what it was, and only
the question whose seconds they were has to be answered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seen:
    """A process in one sample.

    Parameters
    ----------
    role
        Its role.
    parent
        Key of the process that started it; one that is not in the sample is none of the run.
    own_s
        Its own CPU seconds so far.
    reaped_s
        Those of its children, and of theirs, that have ended and were waited for.
    """

    role: str
    parent: Hashable
    own_s: float
    reaped_s: float


@dataclass
class Accounts:
    """Cumulative CPU seconds by role; their sum never falls.

    The seconds of a process that has ended count for its role. What its parent's account gained beyond those that the
    last sample had seen counts for the roles of the parent's children that have ended since, in equal parts; if none of
    them had been seen, for the parent's own role: short-lived helpers work for who starts them.

    Examples
    --------
    >>> accounts = Accounts()
    >>> accounts.update({1: Seen("controller", 0, 1.0, 0.0), 2: Seen("client", 1, 3.0, 0.0)})
    >>> accounts.update({1: Seen("controller", 0, 1.5, 3.25)})
    >>> accounts.cpu_s
    {'controller': 1.5, 'client': 3.25}
    """

    _living: Mapping[Hashable, Seen] = field(default_factory=dict)
    _ended: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _owed: dict[Hashable, float] = field(default_factory=dict)

    @property
    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by role."""
        total: defaultdict[str, float] = defaultdict(float)
        for process in self._living.values():
            total[process.role] += process.own_s
        for role, seconds in self._ended.items():
            total[role] += seconds
        return dict(total)

    @property
    def not_waited_for_s(self) -> float:
        """CPU seconds of ended processes that are in no parent's account, because none waited for them."""
        return sum(self._owed.values())

    def update(self, seen: Mapping[Hashable, Seen]) -> None:
        """Take in a sample of the whole tree."""
        gained, ended = self._gained(seen), self._roles_of_ended(seen)
        for key, process in self._living.items():
            if key not in seen:
                self._ended[process.role] += process.own_s
        self._settle(gained, seen)
        for key, seconds in gained.items():
            roles = ended.get(key) or Counter({seen[key].role: 1})
            for role, count in roles.items():
                self._ended[role] += max(seconds, 0.0) * count / roles.total()
        self._owed = {key: -seconds for key, seconds in gained.items() if seconds < 0}
        self._living = dict(seen)

    def _gained(self, seen: Mapping[Hashable, Seen]) -> dict[Hashable, float]:
        """Return what each living process's account gained from ended children, less what is known of them already.

        It is negative where a process has ended and is not in its parent's account (yet, or ever).
        """
        gained = {}
        for key, process in seen.items():
            before = self._living.get(key)
            gained[key] = process.reaped_s - (before.reaped_s if before else 0.0)
        for key, process in self._living.items():
            if key not in seen:
                heir = self._heir(key, seen)
                if heir is not None:
                    gained[heir] -= process.own_s + process.reaped_s
        for key, seconds in self._owed.items():
            heir = key if key in seen else self._heir(key, seen)
            if heir is not None:
                gained[heir] -= seconds
        return gained

    def _settle(self, gained: dict[Hashable, float], seen: Mapping[Hashable, Seen]) -> None:
        """Pay what is missing at one process from what an ancestor gained: it may have adopted the orphan."""
        for key in [key for key, seconds in gained.items() if seconds < 0]:
            for ancestor in _ancestors(key, seen):
                if gained[key] < 0 < gained[ancestor]:
                    paid = min(-gained[key], gained[ancestor])
                    gained[key] += paid
                    gained[ancestor] -= paid

    def _roles_of_ended(self, seen: Mapping[Hashable, Seen]) -> dict[Hashable, Counter[str]]:
        roles: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
        for key, process in self._living.items():
            if key not in seen:
                roles[self._heir(key, seen)][process.role] += 1
        return roles

    def _heir(self, key: Hashable, seen: Mapping[Hashable, Seen]) -> Hashable | None:
        """Return the nearest ancestor that still lives: the one whose account has an ended process."""
        return next((ancestor for ancestor in _ancestors(key, self._living) if ancestor in seen), None)


def _ancestors(key: Hashable, processes: Mapping[Hashable, Seen]) -> Iterator[Hashable]:
    while key in processes:
        key = processes[key].parent
        if key in processes:
            yield key
