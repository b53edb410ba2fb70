"""What a keeper notes of its attempts before it sends them, so that one that starts again repeats only lost work."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from machine.clocks import now
from metrics.collect.row_types import InvocationRow
from serverless.functions.messages import Measured
from serverless.invocations.work import Success, Work
from serverless.register.clients import Register, RegisterError

_LOOK_EVERY_S = 0.5  # for the update of an attempt that an earlier keeper sent
Key = tuple[int, int | None]  # round, client


class Journal:
    """Notes attempts; its methods are called from several threads at once. This one notes nothing."""

    def await_earlier(self, work: Work, unheard: Iterable[int]) -> None:
        """Wait for attempts of an earlier keeper that may still be running, before the work is done again."""

    def begin(self, work: Work, number: int) -> bool:
        """Note an attempt that is about to be sent; ``False`` if it must not be, because its round is closed."""
        return True

    def end(self, work: Work, row: InvocationRow, success: Success | None) -> None:
        """Note an attempt that has ended, and the attempt that counts, if one does."""


@dataclass(frozen=True)
class RegisterJournal(Journal):
    """Notes clients' attempts in the register.

    Parameters
    ----------
    rows
        Attempts at each piece of work that have ended.
    running_until
        Attempts of an earlier keeper that may still be running (by round, client and attempt), and the latest end of
        each, in seconds since the epoch.
    """

    register: Register
    rows: dict[Key, list[InvocationRow]] = field(default_factory=dict)
    running_until: dict[tuple[int, int | None, int], float] = field(default_factory=dict)

    def await_earlier(self, work: Work, unheard: Iterable[int]) -> None:
        """See :class:`Journal`."""
        numbers = list(unheard)
        until = max((self.running_until.get((*key_of(work), number), 0.0) for number in numbers), default=0.0)
        while now() < until and not any(work.found(number) for number in numbers):
            time.sleep(_LOOK_EVERY_S)

    def begin(self, work: Work, number: int) -> bool:
        """See :class:`Journal`.

        Raises
        ------
        RegisterError
            If another keeper began the same attempt.
        """
        client_id, report = _client(work), _report(self.rows.get(key_of(work), []))
        if self.register.begin(client_id, work.server_round, number, now(), report):
            return True
        if client_id not in self.register.activations(work.server_round):
            return False  # the client was asked for a later round since
        raise RegisterError(
            f"attempt {number} of client {client_id} in round {work.server_round} was begun by somebody else: "
            f"is another run of {self.register.federation} under way? End it, and start this one again"
        )

    def end(self, work: Work, row: InvocationRow, success: Success | None) -> None:
        """See :class:`Journal`."""
        rows = self.rows.setdefault(key_of(work), [])
        rows.append(row)
        self.register.ended(
            _client(work),
            work.server_round,
            row.attempt,
            "finished" if success else "failed",
            _report(rows, success),
        )


def key_of(work: Work) -> Key:
    """Return the round and the client of some work."""
    return work.server_round, work.client_id


def _client(work: Work) -> int:
    assert work.client_id is not None  # the aggregator has no journal
    return work.client_id


def _report(rows: Iterable[InvocationRow], success: Success | None = None) -> str:
    """Encode what a keeper that starts again reads; see :mod:`serverless.invocations.recovery`."""
    answer = asdict(success.answer) if success and isinstance(success.answer, Measured) else None
    counted = {"attempt": success.attempt, "answer": answer} if success else None
    return json.dumps({"rows": [asdict(row) for row in rows], "success": counted})
