"""Makes single attempts at pieces of work by invoking a function, and describes each in a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from machine.clocks import now
from metrics.collect.row_types import CORRUPT_UPDATE, InvocationRow
from serverless.invocations.answers import BadAnswer
from serverless.invocations.attempt_rows import AttemptRows, by_our_clock
from serverless.invocations.journal import Journal
from serverless.invocations.work import Success, Work
from serverless.platforms.protocol import FunctionSpec, Invocation, Platform
from serverless.storage import StoreError

STORE_UNREACHABLE = "store unreachable"
NOT_SENT = "not sent"  # the work was there already, or its round was closed before anything was sent
_FINAL = ("payload too large", "unauthorized", "forbidden")  # the same request would be refused again


class WorkFailed(RuntimeError):  # noqa: N818 - reads as the fact that it states
    """Work failed in every attempt that it was allowed; the attempts are in ``invocations``."""


@dataclass(frozen=True)
class Attempted:
    """What became of one attempt.

    Parameters
    ----------
    row
        The attempt; ``None`` if nothing was sent, because an earlier one's work was in the store, or the store could
        not be asked.
    success
        The attempt that counts: this one, or an earlier one whose answer was lost.
    error_kind, error
        Why there is no success; see ``invocations.error_kind``.
    was_refused
        Whether it failed before any function can have run: such an attempt has cost nothing.
    may_be_done
        Whether its work may yet turn up in the store.
    """

    attempt: int
    row: InvocationRow | None = None
    success: Success | None = None
    error_kind: str | None = None
    error: str | None = None
    was_refused: bool = False
    may_be_done: bool = False

    @property
    def is_final(self) -> bool:
        """Whether another attempt would fail in the same way."""
        return self.error_kind in _FINAL


class Caller(Protocol):
    """Invokes the function that does a piece of work."""

    def params(self, work: Work, number: int) -> Mapping[str, Any]:
        """Return the parameters of attempt ``number``; raises :class:`~serverless.storage.StoreError`."""

    def invoke(self, work: Work, number: int, params: Mapping[str, Any]) -> Invocation:
        """Make the attempt; called from several threads at once."""


@dataclass(frozen=True)
class DirectCaller:
    """The keeper invokes the function itself."""

    platform: Platform
    function: FunctionSpec

    def params(self, work: Work, number: int) -> Mapping[str, Any]:
        """See :class:`Caller`."""
        return work.params(number)

    def invoke(self, work: Work, number: int, params: Mapping[str, Any]) -> Invocation:
        """See :class:`Caller`."""
        return self.platform.invoke(self.function, dict(params))


@dataclass(frozen=True)
class Invoker:
    """Makes attempts at work by invoking one function on one platform.

    Parameters
    ----------
    function
        The function that does the work.
    caller
        How it is invoked.
    rows
        Makes the attempts' rows.
    journal
        Notes attempts, for a keeper that starts again.
    outlives_keeper_s
        How long an attempt may go on after the keeper has ended, seconds: the function's time limit, or 0 on an
        embedded platform, which ends with the keeper.
    """

    function: FunctionSpec
    caller: Caller
    rows: AttemptRows
    journal: Journal = field(default_factory=Journal)
    outlives_keeper_s: float = 0.0

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """Make one attempt; called from several threads at once.

        Parameters
        ----------
        number
            Of the attempt, counted from 1.
        unheard
            Earlier attempts whose answers were lost: if the work of one of them has come to the store by now, nothing
            is invoked.

        Raises
        ------
        serverless.register.clients.RegisterError
            If another keeper makes the same attempt.
        """
        self.journal.await_earlier(work, unheard)
        try:
            if found := _found(work, unheard):
                return Attempted(number, success=found)
            params = self.caller.params(work, number)
        except StoreError as error:
            return Attempted(number, error_kind=STORE_UNREACHABLE, error=str(error), was_refused=True)
        if not self.journal.begin(work, number):
            return Attempted(number, error_kind=NOT_SENT, error="its round is closed", was_refused=True)
        submitted_at = now()
        invocation = self.caller.invoke(work, number, params)
        attempted = self._judge(work, number, invocation, unheard, submitted_at, now() - submitted_at)
        if attempted.row:
            self.journal.end(work, attempted.row, attempted.success)
        return attempted

    def unanswered(self, work: Work, number: int, submitted_at: float) -> InvocationRow:
        """Describe an attempt whose answer is no longer waited for."""
        return self.rows.unanswered(work, number, submitted_at)

    def _judge(
        self,
        work: Work,
        number: int,
        invocation: Invocation,
        unheard: Iterable[int],
        submitted_at: float,
        client_s: float,
    ) -> Attempted:
        """Decide whether an attempt that was sent counts; if not, whether an earlier one does."""
        kind, words, answer = invocation.error_kind, invocation.error, None
        if kind is None:
            try:
                answer = by_our_clock(work.read(invocation.result), submitted_at, client_s)
            except BadAnswer as bad:
                kind, words = bad.kind, str(bad)
        clock = {"submitted_at": submitted_at, "client_s": client_s}
        row = self.rows.row(work, number, invocation, **clock, error_kind=kind, answer=answer)
        if kind is None:
            return Attempted(number, row, Success(number, answer))
        may_be_done = invocation.may_have_run and kind != CORRUPT_UPDATE
        try:
            found = _found(work, [*unheard, number] if may_be_done else unheard)
        except StoreError:
            found = None  # it is looked for again before the next attempt
        refused = not invocation.may_have_run
        return Attempted(number, row, found, kind, words, was_refused=refused, may_be_done=may_be_done)


def direct_invoker(platform: Platform, function: FunctionSpec, run_id: str) -> Invoker:
    """Return what invokes a function without noting it: the aggregator, because a lost average is simply made again."""
    rows = AttemptRows(run_id, platform.name, function.name, function.memory_mb)
    return Invoker(function, DirectCaller(platform, function), rows)


def _found(work: Work, attempts: Iterable[int]) -> Success | None:
    """Return the first of some attempts whose work is in the store although its answer was lost."""
    return next((found for number in attempts if (found := work.found(number))), None)
