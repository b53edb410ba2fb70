"""The keeper: federated learning by invoking functions (after FedKeeper; Chadha, Jindal, Gerndt 2020).

It selects the clients, invokes one function each, waits for as many updates as its policy says, and invokes the
aggregator: see :mod:`serverless.rounds.loop`. Weights never pass through it: it only signs the URLs by which functions
read and write them. Here its parts are put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from metrics.collect.checkpoints import ResumePoint
from metrics.collect.recorder import Recorder
from serverless.cluster import watch_cluster
from serverless.fabric.sites import deploy, open_sites, remove_invokers, router
from serverless.invocations.attempts import direct_invoker
from serverless.invocations.dispatcher import Dispatcher
from serverless.invocations.fedkeeper import Relay
from serverless.invocations.journal import RegisterJournal
from serverless.invocations.recovery import Recovery, attempts_at
from serverless.invocations.stragglers import LateAnswers
from serverless.platforms.registry import open_platform
from serverless.register.clients import Register, RegisterError, open_register
from serverless.rounds.loop import RoundLoop
from serverless.rounds.selectors import durations_s, selector_of
from serverless.settings import ServerlessSettings
from serverless.storage import address, open_store
from serverless.storage.run_objects import RunObjects
from task.data import load_images
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
        placed = settings.placed(job.clients)
        with recorder.setup("start the platform"):
            sites = open_sites(placed, recorder.directory, stack, open_platform)
        with recorder.setup("deploy the functions"):
            if settings.invoker:
                stack.callback(remove_invokers, sites)
            at, engine, reached = placed.fabric.aggregator, engine_name(job.model), address(settings.store)
            deploy(sites, settings.aggregator, at, engine, reached, settings.invoker)
        with recorder.setup("upload the data"):
            store = open_store(settings.store, f"runs/{recorder.run_id}")
            stack.callback(store.delete_prefix, "data/")  # the rest stays: a run that was interrupted goes on with it
            objects, point = RunObjects(store, job, settings.grant_s), recorder.resume_point()
            num_examples, test_sha256 = _upload(job, settings, objects, point)
        register = stack.enter_context(_open_register(settings, recorder, is_new=point is None))
        register.enrol(range(job.clients))
        journal = RegisterJournal(register)
        relay = Relay(settings.invoker, objects) if settings.invoker else None
        to_clients = router(placed, sites, recorder.run_id, journal, relay)
        aggregators = sites[placed.fabric.aggregator].platform
        to_aggregator = direct_invoker(aggregators, settings.aggregator, recorder.run_id)
        threads = ThreadPoolExecutor(_MOST_THREADS, "invoker")
        stack.callback(threads.shutdown, wait=False)  # a thread that never gets its answer must not delay the end
        longest_s = max(site.longest_s for site in placed.sites)
        given_up_s = settings.grant_s + max(longest_s, settings.aggregator.timeout_s)  # its URLs have expired by then
        on_late, written = LateAnswers(objects, recorder), recorder.earlier_invocations()
        rounds = RoundLoop(
            job=job,
            policy=settings.policy,
            selector=selector_of(job, durations_s(written, point.server_round if point else 0)),
            recovery=Recovery(journal, to_clients.invoker_of, attempts_at(to_clients.function, written)),
            objects=objects,
            clients=Dispatcher(to_clients, threads, settings.retries, on_late, settings.in_flight, given_up_s),
            aggregator=Dispatcher(to_aggregator, threads, settings.retries, on_late, within_s=given_up_s),
            num_examples=num_examples,
            test_sha256=test_sha256,
            recorder=recorder,
            relay=relay,
        )
        last_round = rounds.run(point, longest_s)
        weights = objects.weights(last_round)
        recorder.checkpoint(last_round, dumps(weights), {})  # the weights are safe before the store is emptied
        store.delete_prefix()
        register.forget()
        return weights


def _upload(
    job: FederatedJob, settings: ServerlessSettings, objects: RunObjects, point: ResumePoint | None
) -> tuple[tuple[int, ...], str]:
    """Put images and weights into the store; return each client's number of images and the test images' hash."""
    dataset = load_images(job.data_set, settings.data)
    partition = make_partition(job, dataset.train_labels)
    objects.publish_data(dataset, partition)
    last_round = objects.restore(point) if point else 0
    objects.forget_all_updates_but(last_round + 1)
    if last_round == 0:
        objects.publish_weights(0, initial_weights(job.model, job.seed))
    return tuple(len(part) for part in partition.indices), dataset.sha256


@contextmanager
def _open_register(settings: ServerlessSettings, recorder: Recorder, *, is_new: bool) -> Iterator[Register]:
    """Open the register of a run; what an earlier run of the same id left there is deleted if this one begins anew."""
    url = settings.register.url or f"sqlite:///{recorder.directory.absolute()}/register.sqlite"
    with open_register(url, recorder.run_id, settings.register.password_env) as register:
        if is_new and recorder.part == 0:
            register.forget()
        yield register
