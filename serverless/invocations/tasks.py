"""Pieces of work that are under way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from metrics.collect.probe import WorkReport
from metrics.collect.row_types import CORRUPT_UPDATE, InvocationRow
from serverless.invocations.stragglers import discarded
from serverless.invocations.work import Success, Work


@dataclass(eq=False)
class Task:
    """A piece of work and the attempts at it; only the keeper's thread touches it.

    Parameters
    ----------
    rows
        Its attempts that have ended, by their number.
    success
        The attempt that counts; ``None`` as long as none does.
    error
        Why it has failed for good, in words; ``None`` as long as it has not.
    earlier
        Attempts that were made before these.
    unheard
        Attempts whose answers were lost, and whose work may yet turn up in the store.
    ran, refused
        Attempts of this process that may have run, and those that were refused before they ran.
    """

    work: Work
    earlier: int = 0
    rows: dict[int, InvocationRow] = field(default_factory=dict)
    success: Success | None = None
    error: str | None = None
    ran: int = 0
    refused: int = 0
    unheard: tuple[int, ...] = ()
    sent_at: float = 0.0

    @property
    def report(self) -> WorkReport | None:
        """What the function measured of the attempt that counts."""
        return self.success.report if self.success else None

    @property
    def next_number(self) -> int:
        """Number of the attempt that is out, or would be next."""
        return self.earlier + len(self.rows) + 1

    def answered_at(self) -> float:
        """Return when the attempt that counts was answered, in seconds since the epoch; infinite if none counts."""
        row = self.rows[self.success.attempt] if self.success else None
        return row.submitted_at + (row.client_s or 0.0) if row else float("inf")

    def count(self, success: Success) -> None:
        """Let an attempt count: its row is that of a success, and keeps the error kind if its answer was lost."""
        self.success = success
        row = self.rows[success.attempt]
        self.rows[success.attempt] = replace(row, status="success", num_examples=self.work.num_examples)

    def set_aside(self) -> None:
        """Undo the success, because its round has enough updates: its attempt becomes a discarded one."""
        if self.success:
            number, self.success = self.success.attempt, None
            self.rows[number] = discarded(self.rows[number])

    def take_back(self) -> None:
        """Undo the success, because an update turned out to be corrupt: its attempt becomes a failed one."""
        if self.success:
            number, self.success = self.success.attempt, None
            self.rows[number] = replace(self.rows[number], status="failed", error_kind=CORRUPT_UPDATE)
            self.unheard = tuple(attempt for attempt in self.unheard if attempt != number)
