"""What a keeper notes of its attempts, and what one that starts again makes of it: only lost work is done twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from machine.clocks import now
from metrics.collect.row_types import InvocationRow
from serverless.invocations.answers import CORRUPT_UPDATE
from serverless.invocations.attempts import NOT_SENT, Attempted, Invoker, Success, Work
from serverless.invocations.dispatcher import Task
from serverless.register.clients import Activation, Register, RegisterError

_LOOK_EVERY_S = 0.5  # for the update of an attempt that an earlier keeper sent


class _RoundClosed(Exception):  # noqa: N818 - it says what happened
    """The client has been asked for a later round since."""


@dataclass(frozen=True)
class NotedInvoker(Invoker):
    """An :class:`~serverless.invocations.attempts.Invoker` whose attempts are in the register before they are sent.

    Parameters
    ----------
    register
        Where clients' attempts are noted; the aggregator's are not, because a lost average is simply made again.
    outlives_keeper
        Whether the platform goes on when the keeper ends, as an embedded one does not: then an attempt that was in
        flight may still deliver, for as long as its function may run.
    known
        Further columns of its rows: the fabric's group, and the share of a core there.
    """

    register: Register
    outlives_keeper: bool
    known: Mapping[str, Any] = field(default_factory=dict)
    _rows: dict[tuple[int, int], list[InvocationRow]] = field(default_factory=dict)
    _orphans: dict[tuple[int, int, int], float] = field(
        default_factory=dict
    )  # of an earlier keeper: when they were sent

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """See :class:`~serverless.invocations.attempts.Invoker`; :class:`RegisterError` if another keeper acts."""
        if work.client_id is None:
            return super().attempt(work, number, unheard)
        client_id, rows = work.client_id, self._rows.setdefault((work.server_round, work.client_id), [])
        self._await(work, unheard)

        def params(attempt: int) -> dict[str, Any]:
            values = work.params(attempt)
            if not self.register.begin(client_id, work.server_round, attempt, now(), report=_report(rows)):
                if client_id not in self.register.activations(work.server_round):
                    raise _RoundClosed  # a straggler's next attempt, slower than the client's next round
                raise RegisterError(
                    f"attempt {attempt} of client {client_id} in round {work.server_round} was begun by somebody else: "
                    f"is another run of {self.run_id} under way? End it, and start this one again"
                )
            return values

        try:
            attempted = super().attempt(replace(work, params=params), number, unheard)
        except _RoundClosed:
            return Attempted(number, error_kind=NOT_SENT, error="its round is closed", was_refused=True)
        if attempted.row:
            rows.append(attempted.row)
            self.register.ended(
                client_id,
                work.server_round,
                number,
                "finished" if attempted.success else "failed",
                _report(rows, attempted.success),
            )
        return attempted

    def picked_up(self, works: Iterable[Work], written: Iterable[InvocationRow]) -> list[Task]:
        """Return the tasks of a round, as far as an earlier keeper brought them.

        Parameters
        ----------
        written
            Attempts that are in the tables: they are over and accounted for, and are not picked up.
        """
        mine = (row for row in written if row.function == self.function.name)
        known = {(row.server_round, row.client_id, row.attempt) for row in mine}
        tasks = []
        by_round: dict[int, dict[int, Activation]] = {}
        for work in works:
            if work.server_round not in by_round:
                by_round[work.server_round] = self.register.activations(work.server_round)
            activation = by_round[work.server_round].get(-1 if work.client_id is None else work.client_id)
            is_open = activation and (work.server_round, work.client_id, activation.attempt) not in known
            if activation is None:
                tasks.append(Task(work))
            elif is_open:
                tasks.append(self._task(work, activation))
            else:
                tasks.append(Task(work, earlier=activation.attempt))
        return tasks

    def _row(self, *attempt: Any, **named: Any) -> InvocationRow:
        return replace(super()._row(*attempt, **named), **self.known)

    def _task(self, work: Work, activation: Activation) -> Task:
        """Return a task as the earlier keeper had left it."""
        report = json.loads(activation.report or "{}")
        rows = [InvocationRow(**row) for row in report.get("rows", [])]
        task = Task(work, earlier=activation.attempt - len(rows), rows={row.attempt: row for row in rows})
        if activation.state == "finished":
            task.success = _success(work, report)
            task.rows |= {} if task.success else {row.attempt: _gone(row) for row in rows if row.status == "success"}
        elif activation.state == "in_flight":
            lost = self.unanswered(work, activation.attempt, activation.submitted_at or now())
            task.earlier -= 1
            task.rows[activation.attempt] = lost
            task.unheard = (activation.attempt,)
            self._orphans[work.server_round, activation.client_id, activation.attempt] = lost.submitted_at
        self._rows[work.server_round, activation.client_id] = list(task.rows.values())
        return task

    def _await(self, work: Work, unheard: Iterable[int]) -> None:
        """Let an attempt of an earlier keeper's that may still run come to its end, before it is made again."""
        if not self.outlives_keeper or work.client_id is None:
            return
        sent = [self._orphans.get((work.server_round, work.client_id, attempt), 0.0) for attempt in unheard]
        ends_at = max(sent, default=0.0) + self.function.timeout_s
        while now() < ends_at and not any(work.result_of(attempt) is not None for attempt in unheard):
            time.sleep(_LOOK_EVERY_S)


def _report(rows: Iterable[InvocationRow], success: Success | None = None) -> str:
    counted = {"attempt": success.attempt, "result": dict(success.result)} if success else None
    return json.dumps({"rows": [asdict(row) for row in rows], "success": counted})


def _gone(row: InvocationRow) -> InvocationRow:
    """Say that the update of an attempt is not there any more, so that nothing of it counts."""
    return replace(row, status="failed", error_kind=CORRUPT_UPDATE)


def _success(work: Work, report: Mapping[str, Any]) -> Success | None:
    """Return what counted, if its update is still in the store."""
    found = report.get("success")
    if not found or work.result_of(found["attempt"]) is None:
        return None
    result = found["result"]
    return Success(found["attempt"], result, work.read(result) if result else None)
