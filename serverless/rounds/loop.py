"""The loop of the rounds: select clients, have them train, average their updates, record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from machine.clocks import now
from metrics.collect.checkpoints import ResumePoint
from metrics.collect.recorder import Recorder
from metrics.collect.row_types import InvocationRow
from metrics.collect.rows import round_row
from serverless.functions.messages import CorruptAnswer, Evaluation
from serverless.invocations.attempts import WorkFailed
from serverless.invocations.dispatcher import Dispatcher
from serverless.invocations.fedkeeper import Relay
from serverless.invocations.recovery import Recovery
from serverless.invocations.stragglers import discarded
from serverless.invocations.work import Averaging, Training
from serverless.rounds.round import Round
from serverless.rounds.round_policies import RoundPolicy, is_hopeless
from serverless.rounds.selectors import Selector, durations_s
from serverless.storage.run_objects import RunObjects
from task.job import FederatedJob


@dataclass(frozen=True)
class RoundLoop:
    """Runs the rounds of a federation of functions.

    Parameters
    ----------
    recovery
        Makes the tasks of a round, as far as an earlier process of this run brought them.
    clients, aggregator
        Send work to the functions.
    num_examples
        Of each client, by its id.
    test_sha256
        Of the test images.
    relay
        The functions that invoke the clients; ``None``: the clients are invoked directly.
    """

    job: FederatedJob
    policy: RoundPolicy
    selector: Selector
    recovery: Recovery
    objects: RunObjects
    clients: Dispatcher
    aggregator: Dispatcher
    num_examples: tuple[int, ...]
    test_sha256: str
    recorder: Recorder
    relay: Relay | None = None

    def run(self, point: ResumePoint | None, within_s: float) -> int:
        """Run the rounds that are left after ``point``; return the last one.

        Parameters
        ----------
        within_s
            How long to wait, after the last round, for activations that go on, seconds.
        """
        last_round = point.server_round if point else 0
        with self._waiting_for_stragglers(within_s):
            for server_round in self.job.rounds_after(last_round, point.test_accuracy if point else None):
                last_round = server_round
                if self.job.reached(self.round(server_round)):
                    break
        return last_round

    def round(self, server_round: int) -> float:
        """Run one round and return the test accuracy after it."""
        this = Round(server_round)
        try:
            with this.clock.phase("select"):
                selected = self.selector.select(server_round)
            self._invite(selected, this)
            self._collect(this)
            while corrupt := self._aggregate(this):
                self._refuse(corrupt, this)
                self._collect(this)
        except Exception:  # what was measured is kept before the run ends
            self.recorder.invocations([*this.rows(), *self.clients.leave().answered, *self._relayed()])
            raise
        return self._close(this)

    def _invite(self, selected: tuple[int, ...], this: Round) -> None:
        """Invoke a function for every selected client."""
        works = [Training(self.objects, this.number, client, self.num_examples[client]) for client in selected]
        this.invoked_at = now()
        this.trainings = self.recovery.tasks(this.number, works)
        this.set_surplus_aside(self.policy)
        if not self.policy.is_closed(this.tally()):
            self.clients.take(this.trainings)

    def _collect(self, this: Round) -> None:
        """Wait until the policy closes the round."""
        start = this.invoked_at if not this.averages else now()
        sent_at = arrived_at = now()
        while not self.policy.is_closed(this.tally()):
            if is_hopeless(self.policy, this.tally()):
                raise WorkFailed(this.lost(self.policy))
            task = self.clients.next(until=this.next_look_at(self.policy))
            if task and task.success:
                arrived_at = now()
        reports = [task.report for task in this.trainings if task.report and task.sent_at >= start]
        this.clock.add_fan_out(start, arrived_at, reports, sent_at=sent_at)
        this.clock.add("wait", now() - arrived_at)  # for a deadline, or for clients that failed in the end

    def _aggregate(self, this: Round) -> dict[int, str]:
        """Have the updates averaged and the new weights evaluated; return which are corrupt, if any, and why."""
        with this.clock.phase("publish"):
            updates = self.objects.granted(this.number, this.updates())
        work = Averaging(self.objects, this.number, updates, self.test_sha256)
        start = now()
        (task,) = self.aggregator.start([work], earlier=sum(len(task.rows) for task in this.averages))
        this.averages.append(task)
        self.aggregator.next()
        this.clock.add_fan_out(start, now(), [task.report] if task.report else [], sent_at=start)
        if task.success is None:
            raise WorkFailed(task.error)
        answer = task.success.answer
        return {one.client_id: one.error for one in answer.corrupt} if isinstance(answer, CorruptAnswer) else {}

    def _refuse(self, corrupt: dict[int, str], this: Round) -> None:
        """Undo the success of updates that must not be averaged: their clients train again."""
        this.averages[-1].take_back()
        for task in this.trainings:
            if task.work.client_id in corrupt:
                self.clients.refuse(task, corrupt[task.work.client_id])

    def _close(self, this: Round) -> float:
        """Record the round, and leave its stragglers behind."""
        times = this.clock.close()
        average, updates = this.averages[-1].success, this.updates()
        assert average is not None
        evaluation = average.answer
        assert isinstance(evaluation, Evaluation)
        left = self.clients.leave()
        self.objects.adopt(this.number, average.attempt, evaluation.weights_sha256, evaluation.state_sha256)
        states = self.objects.keep_states(this.number, updates)
        rows = [*this.rows(), *self._relayed(), *map(discarded, left.answered)]
        row = round_row(
            times,
            rows,
            run_id=self.recorder.run_id,
            server_round=this.number,
            started_at=this.clock.started_at,
            stragglers=left.out + this.surplus,
            test_accuracy=evaluation.test_accuracy,
            test_loss=evaluation.test_loss,
            weights_sha256=evaluation.weights_sha256,
        )
        self.recorder.checkpoint(this.number, None, states)  # the weights themselves are in the store
        self.recorder.round(row, rows)
        self.objects.forget_updates(this.number)  # until the round is recorded, a keeper that starts again needs them
        self.selector.note(this.number, durations_s(rows, this.number).get(this.number, {}))
        return row.test_accuracy

    def _relayed(self) -> list[InvocationRow]:
        """Return the invoker functions' attempts that have ended since this was last called."""
        return self.relay.taken_rows() if self.relay else []

    @contextmanager
    def _waiting_for_stragglers(self, within_s: float) -> Iterator[None]:
        """Wait at the end for attempts that were left behind, also after an error: they are billed too."""
        try:
            yield
        except Exception:
            self.clients.see_off(within_s)
            raise
        self.clients.see_off(within_s)
