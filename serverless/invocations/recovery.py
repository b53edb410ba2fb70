"""How a keeper that starts again uses the journal of an earlier one: only lost work is done twice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from machine.clocks import now
from machine.json_values import read_json
from metrics.collect.row_types import CORRUPT_UPDATE, InvocationRow
from serverless.functions.messages import Stored
from serverless.invocations.attempts import Invoker
from serverless.invocations.journal import RegisterJournal, key_of
from serverless.invocations.tasks import Task
from serverless.invocations.work import Success, Work
from serverless.platforms.protocol import FunctionSpec
from serverless.register.clients import Activation


@dataclass(frozen=True)
class Recovery:
    """Makes the tasks of a round, as far as an earlier keeper brought them.

    Parameters
    ----------
    invoker_of
        What makes the attempts at a client's work.
    written
        Attempts that are in the tables; see :func:`attempts_at`.
    """

    journal: RegisterJournal
    invoker_of: Callable[[Work], Invoker]
    written: Collection[tuple[int, int | None, int]]

    def tasks(self, server_round: int, works: Iterable[Work]) -> list[Task]:
        """Return a task for each piece of a round's work."""
        activations = self.journal.register.activations(server_round)
        return [self._task(work, activations.get(work.client_id)) for work in works if work.client_id is not None]

    def _task(self, work: Work, activation: Activation | None) -> Task:
        if activation is None:
            return Task(work)
        if (*key_of(work), activation.attempt) in self.written:
            return Task(work, earlier=activation.attempt)
        report = read_json(activation.report or "{}")
        rows = [InvocationRow(**row) for row in report.get("rows", [])]
        task = Task(work, earlier=activation.attempt - len(rows), rows={row.attempt: row for row in rows})
        if activation.state == "finished":
            if success := _success(work, report.get("success")):
                task.count(success)  # it was noted as it was answered, which may be as lost
            else:
                task.rows |= {row.attempt: _gone(row) for row in rows if row.status == "success"}
        elif activation.state == "in_flight":
            self._add_lost(task, activation.attempt, activation.submitted_at or now())
        self.journal.rows[key_of(work)] = list(task.rows.values())
        return task

    def _add_lost(self, task: Task, number: int, submitted_at: float) -> None:
        """Add the attempt that was out when the earlier keeper ended; it may still deliver."""
        invoker = self.invoker_of(task.work)
        task.earlier -= 1
        task.rows[number] = invoker.unanswered(task.work, number, submitted_at)
        task.unheard = (number,)
        if invoker.outlives_keeper_s:
            until = submitted_at + invoker.outlives_keeper_s
            self.journal.running_until[(*key_of(task.work), number)] = until


def attempts_at(function: FunctionSpec, written: Iterable[InvocationRow]) -> set[tuple[int, int | None, int]]:
    """Return the attempts at the work of a function that are in the tables, by round, client and attempt: all ended."""
    mine = (row for row in written if row.function == function.name)
    return {(row.server_round, row.client_id, row.attempt) for row in mine}


def _gone(row: InvocationRow) -> InvocationRow:
    """Return an attempt as one that failed, because its update is no longer in the store."""
    return replace(row, status="failed", error_kind=CORRUPT_UPDATE)


def _success(work: Work, counted: Mapping[str, Any] | None) -> Success | None:
    """Return the attempt that counted, if its update is still in the store: the same bytes, and whole."""
    found = work.found(counted["attempt"]) if counted else None
    if counted is None or found is None or counted["answer"] is None:
        return found
    answer = work.read(counted["answer"])
    same = isinstance(answer, Stored) and isinstance(found.answer, Stored) and answer.hashes() == found.answer.hashes()
    return Success(found.attempt, answer) if same else None
