"""A worker process of the bare loop: it reads the data once and trains one client after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from machine.clocks import now
from metrics.collect.probe import WorkerProcess, WorkReport
from task.data import DataSettings, Images, load_images
from task.engines.engine import engine_name, load_engine
from task.job import FederatedJob
from task.partition import Partition, make_partition
from task.training import local_update
from task.weights import Stamp, dumps, loads


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
class Worker:
    """A worker process and its data."""

    dataset: Images
    partition: Partition
    process: WorkerProcess


@cache
def worker(job: FederatedJob, data: DataSettings) -> Worker:
    """Return the worker of this process; the first call imports the model's engine, reads the images and deals them."""
    load_engine(engine_name(job.model))
    dataset = load_images(job.data_set, data)
    partition = make_partition(job, dataset.train_labels)
    return Worker(dataset, partition, WorkerProcess(ready_at=now()))


def train_client(
    job: FederatedJob,
    data: DataSettings,
    client_id: int,
    server_round: int,
    weights: bytes,
    optimizer_state: bytes | None,
    shared_state: bytes | None = None,
) -> Answer:
    """Train one client on its part of the images.

    Parameters
    ----------
    weights, optimizer_state, shared_state
        The global weights, the state in this client's last answer (``None``: a fresh start), and the strategy's state
        if clients get it, as safetensors.
    """
    me = worker(job, data)
    probe = me.process.probe()
    with probe.phase("fetch"):
        mine = me.partition.indices[client_id]
        images, labels = me.dataset.train_images[mine], me.dataset.train_labels[mine]
        start_weights = loads(weights)
        state = None if optimizer_state is None else loads(optimizer_state)
        shared = None if shared_state is None else loads(shared_state)
    update = local_update(job, client_id, server_round, start_weights, images, labels, state, probe, shared)
    with probe.phase("store"):
        encoded = dumps(update.weights, Stamp(server_round, client_id, 1, update.num_examples))
        kept = None if update.optimizer_state is None else dumps(update.optimizer_state)
    return Answer(client_id, encoded, kept, update.num_examples, update.train_loss, probe.report())
