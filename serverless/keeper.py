"""The keeper: federated learning by invoking functions (after FedKeeper; Chadha, Jindal, Gerndt 2020).

It selects the clients, invokes one function each, and then the aggregator. Weights never pass through it: it only
signs the URLs by which functions read and write them.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from metrics.clocks import now
from metrics.phases import RoundClock
from metrics.recorder import Recorder
from metrics.rows import round_row
from serverless.invoker import Done, Invoker, WorkFailed
from serverless.objects import RunObjects
from serverless.platforms.openwhisk.deploy import open_openwhisk
from serverless.settings import ServerlessSettings
from serverless.storage import open_store
from task.data import load_mnist
from task.job import FederatedJob
from task.models import initial_weights
from task.partition import make_partition
from task.selection import select_clients
from task.weights import Weights, dumps

__all__ = ["ServerlessSettings", "run"]


def run(job: FederatedJob, settings: ServerlessSettings, recorder: Recorder) -> Weights:
    """Learn ``job`` and return the final global weights.

    Raises
    ------
    serverless.invoker.WorkFailed
        If a piece of work failed in every attempt; its attempts are in ``invocations``.
    serverless.platforms.protocol.PlatformError, serverless.storage.StoreError
        If the platform or the store cannot be used.
    """
    with ExitStack() as stack:
        with recorder.setup("start the platform"):
            platform = stack.enter_context(open_openwhisk(settings.platform, recorder.directory / "emulator.log"))
        with recorder.setup("deploy the functions"):
            for function in (settings.client, settings.aggregator):
                platform.deploy(function)
        with recorder.setup("upload the data"):
            mnist = load_mnist(settings.data)
            partition = make_partition(job, mnist.train_labels)
            store = open_store(settings.store, f"runs/{recorder.run_id}")
            for prefix in ("data/", "updates/"):  # weights and states stay: a run that was cut off goes on with them
                stack.callback(store.delete_prefix, prefix)
            objects = RunObjects(store, job, settings.grant_s)
            objects.publish_data(mnist, partition)
            point = recorder.resume_point()
            last_round = objects.restore(point) if point else 0
            if last_round == 0:
                objects.publish_weights(0, initial_weights(job.model, job.seed))
        keeper = Keeper(
            job=job,
            objects=objects,
            clients=Invoker(platform, settings.client, recorder.run_id, settings.max_attempts),
            aggregator=Invoker(platform, settings.aggregator, recorder.run_id, settings.max_attempts),
            threads=stack.enter_context(ThreadPoolExecutor(settings.in_flight, "invoker")),
            num_examples=tuple(len(part) for part in partition.indices),
            test_sha256=mnist.sha256,
            recorder=recorder,
        )
        for server_round in job.rounds_after(last_round, point.test_accuracy if point else None):
            last_round = server_round
            if job.reached(keeper.round(server_round)):
                break
        weights = objects.weights(last_round)
        recorder.checkpoint(last_round, dumps(weights), {})  # until they are safe elsewhere: a run that is over ...
        store.delete_prefix()  # ... leaves nothing in the store
        return weights


@dataclass(frozen=True)
class Keeper:
    """Runs rounds; see :func:`run`."""

    job: FederatedJob
    objects: RunObjects
    clients: Invoker
    aggregator: Invoker
    threads: ThreadPoolExecutor
    num_examples: tuple[int, ...]
    test_sha256: str
    recorder: Recorder

    def round(self, server_round: int) -> float:
        """Run one round and return the test accuracy after it."""
        clock = RoundClock()
        with clock.phase("select"):
            clients = select_clients(self.job, server_round)
        updates = self._train(clients, server_round, clock)
        counted = [(done.client_id or 0, done.attempt, self.num_examples[done.client_id or 0]) for done in updates]
        aggregate = self._aggregate(counted, server_round, clock)
        times = clock.close()

        states = self.objects.keep_states(server_round, counted)
        self.objects.forget_updates(server_round)
        rows = [row for done in (*updates, aggregate) for row in done.rows]
        answer = aggregate.result or {}
        row = round_row(
            times,
            rows,
            run_id=self.recorder.run_id,
            server_round=server_round,
            started_at=clock.started_at,
            **{name: answer[name] for name in ("test_accuracy", "test_loss", "weights_sha256")},
        )
        self.recorder.checkpoint(server_round, None, states)  # the weights themselves are in the store
        self.recorder.round(row, rows)
        return row.test_accuracy

    def _train(self, clients: tuple[int, ...], server_round: int, clock: RoundClock) -> list[Done]:
        """Have every selected client train; return their updates in client order."""
        start = now()
        futures = [self.threads.submit(self._invoke_client, client, server_round) for client in clients]
        sent_at = now()
        updates = self._results(futures)
        works = [done.work for done in updates if done.work]
        clock.add_fan_out(start, now(), works, sent_at=sent_at)
        return updates

    def _invoke_client(self, client_id: int, server_round: int) -> Done:
        return self.clients.invoke(
            server_round,
            client_id,
            params=lambda attempt: self.objects.client_params(server_round, client_id, attempt),
            is_done=lambda attempt: self.objects.has_update(server_round, client_id, attempt),
        )

    def _aggregate(self, counted: list[tuple[int, int, int]], server_round: int, clock: RoundClock) -> Done:
        """Have the aggregator average the updates, store the new weights, and evaluate them."""
        with clock.phase("publish"):
            params = self.objects.aggregator_params(server_round, counted, self.test_sha256)
        start = now()
        (done,) = self._results(
            [self.threads.submit(self.aggregator.invoke, server_round, None, lambda attempt: params)]
        )
        clock.add_fan_out(start, now(), [done.work] if done.work else [], sent_at=start)
        return done

    def _results(self, futures: list[Future[Done]]) -> list[Done]:
        """Wait for all; if some work failed for good, keep what was measured before saying so."""
        failed = [error for future in futures if (error := future.exception())]
        if not failed:
            return [future.result() for future in futures]
        rows = [row for future in futures if not future.exception() for row in future.result().rows]
        rows += [row for error in failed if isinstance(error, WorkFailed) for row in error.rows]
        self.recorder.invocations(rows)
        raise failed[0]
