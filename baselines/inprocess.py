"""The bare loop: federated averaging with no system around it.

A pool of worker processes with one thread each, and pipes: a federation on one machine cannot cost less. It is the
lower bound that the overhead of every other backend is compared with.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context

from baselines.inprocess_worker import Answer, train_client, worker
from baselines.resume_point import noted, rounds_left, start_of
from machine.clocks import now
from metrics.collect.phases import RoundClock
from metrics.collect.probe import Probe
from metrics.collect.recorder import Recorder
from metrics.collect.row_types import CORRUPT_UPDATE, InvocationRow
from metrics.collect.rows import controller_row, round_row, with_work
from task.aggregation import Aggregation
from task.data import DataSettings, Images, load_images
from task.engines.engine import engine_name, load_engine
from task.engines.runtime import ONE_THREAD
from task.evaluation import Evaluation, evaluate
from task.job import FederatedJob
from task.selection import select_clients
from task.strategies import STRATEGIES
from task.weights import CorruptWeights, Stamp, Weights, diverged, dumps, read, sha256


@dataclass(frozen=True)
class InprocessSettings:
    """How the bare loop runs.

    Parameters
    ----------
    workers
        Worker processes: how many clients train at once, one thread each.
    data
        Where the images are.
    """

    workers: int
    data: DataSettings


@dataclass(frozen=True)
class _Arrived:
    """An answer, and when it reached the controller, in seconds since the epoch."""

    answer: Answer
    at: float


class RefusedUpdate(CorruptWeights):
    """An update that must not enter the average."""

    def __init__(self, server_round: int, client_id: int, error: CorruptWeights) -> None:
        super().__init__(f"round {server_round}: the update of client {client_id} is refused: {error}")
        self._client_id = client_id

    def noted(self, row: InvocationRow) -> InvocationRow:
        """Return a row of the round as it is written: a failed one, if it is that of the update."""
        if row.client_id != self._client_id:
            return row
        return replace(row, status="failed", error_kind=CORRUPT_UPDATE, train_loss=None)


def run(job: FederatedJob, settings: InprocessSettings, recorder: Recorder) -> Weights:
    """Learn ``job`` and return the final global weights.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If a worker process dies.
    RefusedUpdate
        If an update must not enter the average; its row, and those of the other clients, are in ``invocations``.
    """
    with recorder.setup("load the data and the model's engine"):
        dataset = load_images(job.data_set, settings.data)
        load_engine(engine_name(job.model))
    point = recorder.resume_point()
    weights, state, states = start_of(job, point)
    with recorder.setup(f"start {settings.workers} workers"):
        pool = _start_pool(job, settings)
    with pool:
        for server_round in rounds_left(job, point):
            weights, state, evaluation = _round(
                job, settings.data, server_round, weights, state, states, dataset, pool, recorder
            )
            if job.reached(evaluation.test_accuracy):
                break
    return weights


def _round(
    job: FederatedJob,
    data: DataSettings,
    server_round: int,
    weights: Weights,
    state: Weights,
    states: dict[int, bytes],
    dataset: Images,
    pool: ProcessPoolExecutor,
    recorder: Recorder,
) -> tuple[Weights, Weights, Evaluation]:
    clock = RoundClock()
    with clock.phase("select"):
        clients = select_clients(job, server_round)
    with clock.phase("publish"):
        blob = dumps(weights)
        shared = dumps(state) if STRATEGIES[job.strategy.name].shares_state else None

    sent = now()
    futures = [
        pool.submit(train_client, job, data, client, server_round, blob, states.get(client), shared)
        for client in clients
    ]
    sent_at = now()
    arrived = {done.answer.client_id: done for done in map(_arrival, as_completed(futures))}
    clock.add_fan_out(sent, now(), [done.answer.work for done in arrived.values()], sent_at=sent_at)
    answers = [arrived[client].answer for client in clients]

    def rows_of_clients() -> list[InvocationRow]:
        bytes_in = len(blob) + len(shared or b"")
        return [_client_row(recorder.run_id, server_round, arrived[client], sent, bytes_in) for client in clients]

    probe = Probe()
    with clock.phase("aggregate"), probe.phase("aggregate"):
        try:
            weights, state = aggregate(job, server_round, weights, answers, state)
        except RefusedUpdate as error:  # what was measured is kept before the run ends
            recorder.invocations([error.noted(row) for row in rows_of_clients()])
            raise
        changed = {answer.client_id: kept for answer in answers if (kept := answer.optimizer_state) is not None}
        states.update(changed)
    with clock.phase("evaluate"), probe.phase("evaluate"):
        evaluation = evaluate(job.model, weights, dataset.test_images, dataset.test_labels)

    work, times = probe.report(), clock.close()  # the work lies within the round
    rows = [*rows_of_clients(), controller_row(recorder.run_id, server_round, work)]
    row = round_row(
        times,
        rows,
        run_id=recorder.run_id,
        server_round=server_round,
        started_at=clock.started_at,
        test_accuracy=evaluation.test_accuracy,
        test_loss=evaluation.test_loss,
        weights_sha256=sha256(weights),
    )
    recorder.checkpoint(server_round, dumps(weights), noted(changed, state))
    recorder.round(row, rows)
    return weights, state, evaluation


def aggregate(
    job: FederatedJob, server_round: int, weights: Weights, answers: Iterable[Answer], state: Weights | None = None
) -> tuple[Weights, Weights]:
    """Make the next global weights, and the strategy's next state, of the answers in ascending client order.

    Raises
    ------
    RefusedUpdate
        If an update must not enter, and says whose it is. The bare loop has no second attempt: it would fail alike.
    """
    aggregation = Aggregation(job, weights, state)
    for answer in answers:
        stamp = Stamp(server_round, answer.client_id, 1, answer.num_examples)
        try:
            if said := diverged(answer.train_loss):
                raise CorruptWeights(said)
            aggregation.add(read(answer.weights, weights, stamp=stamp), answer.num_examples)
        except CorruptWeights as error:
            raise RefusedUpdate(server_round, answer.client_id, error) from error
    return aggregation.result(), aggregation.state


def _arrival(future: Future[Answer]) -> _Arrived:
    return _Arrived(future.result(), now())


def _client_row(run_id: str, server_round: int, arrived: _Arrived, submitted_at: float, bytes_in: int) -> InvocationRow:
    answer = arrived.answer
    row = InvocationRow(
        submitted_at=submitted_at,
        run_id=run_id,
        server_round=server_round,
        function="client",
        client_id=answer.client_id,
        attempt=1,
        status="success",
        client_s=arrived.at - submitted_at,
        bytes_in=bytes_in,
        bytes_out=len(answer.weights),
        num_examples=answer.num_examples,
        train_loss=answer.train_loss,
    )
    return with_work(row, answer.work)


def _start_pool(job: FederatedJob, settings: InprocessSettings) -> ProcessPoolExecutor:
    """Start all workers now, so that their start-up counts as set-up and not as part of the first round."""
    pool = ProcessPoolExecutor(
        settings.workers,
        mp_context=get_context("spawn"),
        initializer=worker,
        initargs=(job, settings.data),
    )
    with _environment(FL_PROCESS_ROLE="client", **ONE_THREAD):
        for ready in [pool.submit(os.getpid) for _ in range(settings.workers)]:
            ready.result()
    return pool


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Give the processes that are started inside these environment variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
