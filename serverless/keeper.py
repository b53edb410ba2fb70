"""The keeper: federated learning by invoking functions (after FedKeeper; Chadha, Jindal, Gerndt 2020).

It selects the clients, invokes one function each, waits for as many updates as its policy says, and invokes the
aggregator. Weights never pass through it: it only signs the URLs by which functions read and write them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from machine.clocks import now
from metrics.collect.recorder import Recorder
from metrics.collect.row_types import InvocationRow
from metrics.collect.rows import round_row
from serverless.cluster import watch_cluster
from serverless.fabric.sites import deploy, open_sites, remove_invokers, router
from serverless.functions.messages import CorruptAnswer, Evaluation
from serverless.invocations.attempts import WorkFailed, direct_invoker
from serverless.invocations.dispatcher import Dispatcher
from serverless.invocations.fedkeeper import Relay
from serverless.invocations.journal import RegisterJournal
from serverless.invocations.recovery import Recovery
from serverless.invocations.stragglers import LateAnswers, discarded
from serverless.invocations.work import Averaging, Training
from serverless.platforms.registry import open_platform
from serverless.register.clients import Register, RegisterError, open_register
from serverless.rounds.round import Round
from serverless.rounds.round_policies import RoundPolicy, is_hopeless
from serverless.rounds.selectors import Selector, durations_s, selector_of
from serverless.settings import ServerlessSettings
from serverless.storage import open_store
from serverless.storage.run_objects import RunObjects
from task.data import load_mnist
from task.engines.engine import engine_name
from task.job import FederatedJob
from task.models import initial_weights
from task.partition import make_partition
from task.weights import Weights, dumps

__all__ = ["RegisterError", "ServerlessSettings", "run"]
_MOST_THREADS = 10_000  # they are made when they are needed: one for each invocation that is out


def run(job: FederatedJob, settings: ServerlessSettings, recorder: Recorder) -> Weights:
    """Learn ``job`` and return the final global weights.

    Raises
    ------
    serverless.invocations.attempts.WorkFailed
        If so much work failed in every attempt that a round cannot be closed; the attempts are in ``invocations``.
    serverless.platforms.protocol.PlatformError, serverless.storage.StoreError
        If the platform or the store cannot be used.
    """
    with ExitStack() as stack:
        stack.enter_context(watch_cluster(settings.cluster, recorder.run_id, recorder.directory))
        with recorder.setup("start the platform"):
            placed = settings.placed(job.clients)
            sites = open_sites(placed, recorder.directory, stack, open_platform)
        with recorder.setup("deploy the functions"):
            if settings.invoker:
                stack.callback(remove_invokers, sites)
            deploy(sites, settings.aggregator, placed.fabric.aggregator, engine_name(job.model), settings.invoker)
        with recorder.setup("upload the data"):
            mnist = load_mnist(settings.data)
            partition = make_partition(job, mnist.train_labels)
            store = open_store(settings.store, f"runs/{recorder.run_id}")
            stack.callback(store.delete_prefix, "data/")  # the rest stays: a run that was cut off goes on with it
            objects = RunObjects(store, job, settings.grant_s)
            objects.publish_data(mnist, partition)
            point = recorder.resume_point()
            last_round = objects.restore(point) if point else 0
            objects.forget_all_updates_but(last_round + 1)
            if last_round == 0:
                objects.publish_weights(0, initial_weights(job.model, job.seed))
        register = stack.enter_context(_open_register(settings, recorder, is_new=point is None))
        threads = ThreadPoolExecutor(_MOST_THREADS, "invoker")
        stack.callback(threads.shutdown, wait=False)  # one that hears nothing more must not hold up the end
        relay = Relay(settings.invoker, objects) if settings.invoker else None
        register.enrol(range(job.clients))
        journal = RegisterJournal(register)
        to_clients = router(placed, sites, recorder.run_id, journal, relay)
        aggregators = sites[placed.fabric.aggregator].platform
        to_aggregator = direct_invoker(aggregators, settings.aggregator, recorder.run_id)
        on_late = LateAnswers(objects, recorder)
        written = recorder.earlier_invocations()
        of_clients = [row for row in written if row.function == to_clients.function.name]
        keeper = Keeper(
            job=job,
            policy=settings.policy,
            selector=selector_of(job, durations_s(written, last_round)),
            recovery=Recovery(
                journal,
                to_clients.invoker_of,
                {(row.server_round, row.client_id, row.attempt) for row in of_clients},
            ),
            objects=objects,
            clients=Dispatcher(to_clients, threads, settings.retries, on_late, settings.in_flight),
            aggregator=Dispatcher(to_aggregator, threads, settings.retries, on_late),
            num_examples=tuple(len(part) for part in partition.indices),
            test_sha256=mnist.sha256,
            recorder=recorder,
            relay=relay,
        )
        with keeper.seeing_off_stragglers(max(site.longest_s for site in placed.sites)):
            for server_round in job.rounds_after(last_round, point.test_accuracy if point else None):
                last_round = server_round
                if job.reached(keeper.round(server_round)):
                    break
        weights = objects.weights(last_round)
        recorder.checkpoint(last_round, dumps(weights), {})  # until they are safe elsewhere: a run that is over ...
        store.delete_prefix()  # ... leaves nothing in the store ...
        register.forget()  # ... and nobody in the register
        return weights


@contextmanager
def _open_register(settings: ServerlessSettings, recorder: Recorder, *, is_new: bool) -> Iterator[Register]:
    """Open the register of a run; what a run of its id that is made anew had left there is of no use."""
    url = settings.register.url or f"sqlite:///{recorder.directory.absolute()}/register.sqlite"
    with open_register(url, recorder.run_id, settings.register.password_env) as register:
        if is_new and recorder.part == 0:
            register.forget()
        yield register


@dataclass(frozen=True)
class Keeper:
    """Runs rounds; see :func:`run`."""

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
        """Take updates back that must not be averaged: their clients train again."""
        this.averages[-1].take_back()
        for task in this.trainings:
            if task.work.client_id in corrupt:
                self.clients.refuse(task, corrupt[task.work.client_id])

    def _close(self, this: Round) -> float:
        """Write the round down, and leave its stragglers behind."""
        times = this.clock.close()
        average, updates = this.averages[-1].success, this.updates()
        assert average is not None
        evaluation = average.answer
        assert isinstance(evaluation, Evaluation)
        left = self.clients.leave()
        self.objects.adopt(this.number, average.attempt)
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
        self.objects.forget_updates(this.number)  # until it is written down, a keeper that starts again needs them
        self.selector.note(this.number, durations_s(rows, this.number).get(this.number, {}))
        return row.test_accuracy

    def _relayed(self) -> list[InvocationRow]:
        """Return the invoker functions' attempts that have ended since this was last called."""
        return self.relay.taken_rows() if self.relay else []

    @contextmanager
    def seeing_off_stragglers(self, within_s: float) -> Iterator[None]:
        """Wait, at the end of the rounds, for what was left behind, at most so many seconds: it is billed too."""
        try:
            yield
        except Exception:
            self.clients.see_off(within_s)
            raise
        self.clients.see_off(within_s)
