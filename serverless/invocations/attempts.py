"""Makes single attempts at pieces of work by invoking a function, and writes each down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from machine.clocks import now
from metrics.collect.probe import WorkReport
from metrics.collect.row_types import InvocationRow
from metrics.collect.rows import with_work
from serverless.invocations.answers import CORRUPT_UPDATE, BadAnswer
from serverless.platforms.protocol import FunctionSpec, Invocation, Platform
from serverless.storage import StoreError

NO_ANSWER = "no answer"
STORE_UNREACHABLE = "store unreachable"
NOT_SENT = "not sent"  # the work was there already, or its round was closed before anything was sent
_FINAL = ("payload too large", "unauthorized", "forbidden")  # the same request would be refused again
_MIB = 1024 * 1024


class WorkFailed(RuntimeError):  # noqa: N818 - reads as the fact that it states
    """Work failed in every attempt that it was allowed; the attempts are in ``invocations``."""


@dataclass(frozen=True)
class Work:
    """One piece of work. Its functions are called from several threads at once, and may raise :class:`StoreError`.

    Parameters
    ----------
    client_id
        Whose; ``None`` for the aggregator's.
    num_examples
        The images behind it.
    params
        From the number of the attempt, counted from 1, to the function's parameters.
    read
        From the function's answer to the probe's report in it; raises
        :class:`~serverless.invocations.answers.BadAnswer`.
    result_of
        What an attempt left in the store, by its key, although its answer was lost; ``None`` if it left nothing whole.
    """

    server_round: int
    client_id: int | None
    num_examples: int
    params: Callable[[int], dict[str, Any]]
    read: Callable[[Mapping[str, Any] | None], WorkReport]
    result_of: Callable[[int], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Success:
    """The attempt whose work counts, what it said of it, and the probe's report (``None`` if its answer was lost)."""

    attempt: int
    result: Mapping[str, Any]
    report: WorkReport | None = None


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


@dataclass(frozen=True)
class Invoker:
    """Invokes one function on one platform for one run."""

    platform: Platform
    function: FunctionSpec
    run_id: str

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """Make one attempt; called from several threads at once.

        Parameters
        ----------
        number
            Of the attempt, counted from 1.
        unheard
            Earlier attempts whose answers were lost: if the work of one of them has come to the store by now, nothing
            is invoked.
        """
        try:
            if found := _found(work, unheard):
                return Attempted(number, success=found)
            params = work.params(number)
        except StoreError as error:
            return Attempted(number, error_kind=STORE_UNREACHABLE, error=str(error), was_refused=True)
        submitted_at = now()
        invocation = self._invoke(work, number, params)
        client_s = now() - submitted_at
        kind, words, report = invocation.error_kind, invocation.error, None
        if kind is None:
            try:
                report = work.read(invocation.result)
            except BadAnswer as bad:
                kind, words = bad.kind, str(bad)
        row = self._row(work, number, invocation, kind, report, (submitted_at, client_s))
        if kind is None:
            return Attempted(number, row, Success(number, invocation.result or {}, report))
        may_be_done = invocation.may_have_run and kind != CORRUPT_UPDATE
        try:
            found = _found(work, [*unheard, number] if may_be_done else unheard)
        except StoreError:
            found = None  # it is looked for again before the next attempt
        return Attempted(
            number, row, found, kind, words, was_refused=not invocation.may_have_run, may_be_done=may_be_done
        )

    def unanswered(self, work: Work, number: int, submitted_at: float) -> InvocationRow:
        """Describe an attempt for whose answer nobody waits any longer."""
        lost = Invocation()
        return self._row(work, number, lost, NO_ANSWER, None, (submitted_at, now() - submitted_at))

    def _invoke(self, work: Work, number: int, params: dict[str, Any]) -> Invocation:
        return self.platform.invoke(self.function, params)

    def _row(
        self,
        work: Work,
        number: int,
        invocation: Invocation,
        error_kind: str | None,
        report: WorkReport | None,
        clock: tuple[float, float],
    ) -> InvocationRow:
        told = (invocation.result or {}) if report else {}  # nothing of an answer that cannot be trusted
        row = InvocationRow(
            submitted_at=clock[0],
            client_s=clock[1],
            run_id=self.run_id,
            server_round=work.server_round,
            function=self.function.name,
            client_id=work.client_id,
            attempt=number,
            platform=self.platform.name,
            activation_id=invocation.activation_id,
            status="failed" if error_kind else "success",
            error_kind=error_kind or invocation.got_over,
            provider_s=invocation.provider_s,
            provider_start=invocation.provider_start,
            platform_wait_s=invocation.wait_s,
            init_s=invocation.init_s,
            memory_limit_bytes=self.function.memory_mb * _MIB,
            bytes_in=told.get("bytes_in"),
            bytes_out=told.get("bytes_out"),
            num_examples=told.get("num_examples"),
            train_loss=told.get("train_loss"),
        )
        return with_work(row, report)


def _found(work: Work, attempts: Iterable[int]) -> Success | None:
    """Return the first of some attempts whose work is in the store although its answer was lost."""
    for number in attempts:
        if (result := work.result_of(number)) is not None:
            return Success(number, result)
    return None
