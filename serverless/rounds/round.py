"""A round that is under way: its pieces of work, and what is known of them so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from machine.clocks import now
from metrics.collect.phases import RoundClock
from metrics.collect.row_types import InvocationRow
from serverless.functions.messages import Stored
from serverless.invocations.tasks import Task
from serverless.rounds.round_policies import RoundPolicy, Tally
from serverless.storage.run_objects import Update


@dataclass
class Round:
    """What the keeper knows of a round.

    Parameters
    ----------
    trainings
        One task per selected client, in ascending client order.
    averages
        The aggregator's tasks: more than one if updates turned out to be corrupt.
    surplus
        Updates that arrived but do not count; see :meth:`set_surplus_aside`.
    """

    number: int
    clock: RoundClock = field(default_factory=RoundClock)
    trainings: list[Task] = field(default_factory=list)
    averages: list[Task] = field(default_factory=list)
    invoked_at: float = 0.0
    surplus: int = 0

    def tally(self) -> Tally:
        """Count the clients that have delivered, and those that have failed for good."""
        return Tally(
            invited=len(self.trainings),
            arrived=sum(task.success is not None for task in self.trainings),
            failed=sum(task.error is not None for task in self.trainings),
            elapsed_s=now() - self.invoked_at,
        )

    def set_surplus_aside(self, policy: RoundPolicy) -> None:
        """Discard what arrived after enough had, while no keeper was there to close the round."""
        arrived = sorted((task for task in self.trainings if task.success), key=Task.answered_at)
        surplus = arrived[policy.counts(len(self.trainings)) :]
        self.surplus = len(surplus)
        for task in surplus:
            task.set_aside()

    def updates(self) -> list[Update]:
        """Return the updates that have arrived, in ascending client order."""
        return [
            Update(task.work.client_id, task.success.attempt, task.work.num_examples, *task.success.answer.hashes())
            for task in self.trainings
            if task.success and isinstance(task.success.answer, Stored) and task.work.client_id is not None
        ]

    def rows(self) -> list[InvocationRow]:
        """Return all attempts that have ended, the clients' first."""
        return [row for task in (*self.trainings, *self.averages) for row in task.rows.values()]

    def next_look_at(self, policy: RoundPolicy) -> float:
        """Return when to look at the round again although nothing has arrived, in seconds since the epoch."""
        at = self.invoked_at + (policy.deadline_s or float("inf"))
        return at if at > now() else float("inf")  # a deadline that has passed: the next update decides

    def lost(self, policy: RoundPolicy) -> str:
        """Say why the round cannot be closed any more."""
        errors = [task.error for task in self.trainings if task.error]
        needed, tally = policy.needs(len(self.trainings)), self.tally()
        if needed == tally.invited and errors:
            return errors[0]
        return (
            f"round {self.number}: policy {policy} needs {needed} updates, but {tally.failed} of {tally.invited} "
            f"clients failed for good{': ' + errors[-1] if errors else ''}"
        )
