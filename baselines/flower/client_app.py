"""The ClientApp: what a node of the federation does when a message arrives.

It imports an engine, such as TensorFlow, only when it has to train: a process that only answers which partition it has
starts much faster.
"""

from __future__ import annotations

import traceback
from functools import cache
from typing import cast

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from baselines.flower.messages import (
    ARRAYS,
    CONFIG,
    METRICS,
    OPTIMIZER,
    SERVER_ROUND,
    SHARED,
    WANTED,
    failure,
    success,
    to_record,
    to_weights,
)
from baselines.flower.plan import plan_of
from metrics.collect.probe import Probe, WorkerProcess
from task.data import DataSettings, Images, load_images
from task.engines.engine import engine_name, load_engine
from task.job import FederatedJob
from task.partition import Partition, make_partition
from task.training import local_update
from task.weights import Stamp

PARTITION = "partition-id"  # Flower's own key: a simulated node has it, a SuperNode gets it by --node-config

app = ClientApp()
_WORKER = WorkerProcess()


@app.query()
def query(message: Message, context: Context) -> Message:
    """Answer which partition this node has; send, or take, the optimizer state that it keeps."""
    answer = RecordDict({METRICS: MetricRecord({PARTITION: _client_id(context)})})
    if OPTIMIZER in message.content.array_records:
        context.state[OPTIMIZER] = message.content.array_records[OPTIMIZER]
    if OPTIMIZER in message.content.config_records.get(WANTED, {}):
        answer[OPTIMIZER] = context.state.array_records[OPTIMIZER]
    return Message(answer, reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the global weights on this node's partition, and measure what it takes."""
    load_engine(engine_name(plan_of(context).job.model))
    probe = _WORKER.probe()
    try:
        content = _train(message, context, probe)
    except Exception as error:
        content = failure(type(error).__name__, traceback.format_exc(), probe.report())
    return Message(content, reply_to=message)


def _train(message: Message, context: Context, probe: Probe) -> RecordDict:
    plan, client_id = plan_of(context), _client_id(context)
    server_round = cast(int, message.content.config_records[CONFIG][SERVER_ROUND])
    with probe.phase("fetch"):
        weights = to_weights(message.content.array_records[ARRAYS])
        kept = context.state.array_records.get(OPTIMIZER)
        optimizer_state = None if kept is None else to_weights(kept)
        shared = message.content.array_records.get(SHARED)
        state = None if shared is None else to_weights(shared)
        dataset, partition = _images(plan.data, plan.job)
        mine = partition.indices[client_id]
        images, labels = dataset.train_images[mine], dataset.train_labels[mine]
    update = local_update(plan.job, client_id, server_round, weights, images, labels, optimizer_state, probe, state)
    with probe.phase("store"):
        arrays = to_record(update.weights)
        if update.optimizer_state is not None:
            context.state[OPTIMIZER] = to_record(update.optimizer_state)
    stamp = Stamp(server_round, client_id, 1, update.num_examples)
    return success(arrays, stamp, update.train_loss, probe.report())


def _client_id(context: Context) -> int:
    return int(context.node_config[PARTITION])


@cache
def _images(data: DataSettings, job: FederatedJob) -> tuple[Images, Partition]:
    """Read the data once per process."""
    dataset = load_images(job.data_set, data)
    return dataset, make_partition(job, dataset.train_labels)
