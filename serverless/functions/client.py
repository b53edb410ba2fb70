"""The client function: fetch the global weights and one client's data, train, store the update.

It knows no platform: a thin wrapper per platform calls :func:`handle`.
"""

from __future__ import annotations

from typing import Any

from metrics.collect.probe import WorkerProcess
from serverless.functions.engine import import_engine
from serverless.functions.messages import ClientAnswer, ClientParams
from serverless.functions.payload import unpack_images
from serverless.functions.transfer import deliver, fetch
from task.job import FederatedJob
from task.training import local_update
from task.weights import dumps, loads

import_engine()


def handle(params: ClientParams, worker: WorkerProcess) -> dict[str, Any]:
    """Train one client for one round; return a :class:`~serverless.functions.messages.ClientAnswer` as JSON types.

    Raises
    ------
    serverless.functions.transfer.TransferError
        If an object cannot be read or written.
    task.weights.CorruptWeights
        If the global weights are damaged.
    """
    probe = worker.probe()
    job = FederatedJob.from_dict(params["job"])
    with probe.phase("fetch"):
        weights, data = fetch(params["weights_url"]), fetch(params["data_url"])
        state = fetch(params["state_url"]) if "state_url" in params else None
        arrays = loads(weights), *unpack_images(data), loads(state) if state else None
    update = local_update(job, params["client_id"], params["server_round"], *arrays, probe)
    with probe.phase("store"):
        encoded = dumps(update.weights)
        kept = dumps(update.optimizer_state) if update.optimizer_state else b""
        if kept:
            deliver(params["new_state_url"], kept)
        deliver(params["update_url"], encoded)  # last: an update in the store is a whole one
    return ClientAnswer(
        num_examples=update.num_examples,
        train_loss=update.train_loss,
        bytes_in=len(weights) + len(data) + len(state or b""),
        bytes_out=len(encoded) + len(kept),
        work=probe.report(),
    ).to_dict()
