"""A worker process of the bare loop: it holds the data and trains one client after the other."""

from __future__ import annotations

from dataclasses import dataclass

from machine.clocks import now
from metrics.collect.probe import Probe, WorkReport
from task.data import DataSettings, Mnist, load_mnist
from task.engines.engine import engine_name, load_engine
from task.job import FederatedJob
from task.partition import Partition, make_partition
from task.training import local_update
from task.weights import dumps, loads


@dataclass(frozen=True)
class Answer:
    """A client's update as it crosses the pipe: arrays as safetensors."""

    client_id: int
    weights: bytes
    optimizer_state: bytes | None
    num_examples: int
    train_loss: float
    work: WorkReport


@dataclass(frozen=True)
class _Worker:
    """What a worker process knows."""

    job: FederatedJob
    mnist: Mnist
    partition: Partition
    ready_at: float


_workers: list[_Worker] = []


def start(job: FederatedJob, data: DataSettings) -> None:
    """Make this process a worker: import the model's engine, read the images, deal them."""
    load_engine(engine_name(job.model))
    mnist = load_mnist(data)
    partition = make_partition(job, mnist.train_labels)
    _workers.append(_Worker(job, mnist, partition, ready_at=now()))


def is_ready() -> bool:
    """Whether this process is a worker; asked so that the pool starts it."""
    return bool(_workers)


def work(client_id: int, server_round: int, weights: bytes, optimizer_state: bytes | None) -> Answer:
    """Train one client on its part of the images.

    Parameters
    ----------
    weights, optimizer_state
        The global weights, and what this client's last answer said (``None``: a fresh start), as safetensors.
    """
    me = _workers[0]
    probe = Probe(ready_at=me.ready_at)
    with probe.phase("fetch"):
        mine = me.partition.indices[client_id]
        images, labels = me.mnist.train_images[mine], me.mnist.train_labels[mine]
        start_weights = loads(weights)
        state = None if optimizer_state is None else loads(optimizer_state)
    update = local_update(me.job, client_id, server_round, start_weights, images, labels, state, probe)
    with probe.phase("store"):
        encoded = dumps(update.weights)
        kept = None if update.optimizer_state is None else dumps(update.optimizer_state)
    return Answer(client_id, encoded, kept, update.num_examples, update.train_loss, probe.report())
