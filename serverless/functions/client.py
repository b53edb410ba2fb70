"""The client function: fetch the global weights and one client's data, train, store the update.

It knows no platform: a thin wrapper per platform calls :func:`handle`.
"""

from __future__ import annotations

from typing import Any

from metrics.collect.probe import WorkerProcess
from serverless.functions.engine import import_engine
from serverless.functions.global_weights import fetch_state, fetch_weights
from serverless.functions.messages import ClientAnswer, ClientParams
from serverless.functions.payload import unpack_images
from serverless.functions.transfer import deliver, fetch
from task.job import FederatedJob
from task.models import weights_like
from task.states import client_state_like, shared_state_like
from task.training import local_update
from task.weights import Stamp, digest, dumps

import_engine()


def handle(params: ClientParams, worker: WorkerProcess) -> dict[str, Any]:
    """Train one client for one round; return a :class:`~serverless.functions.messages.ClientAnswer` as JSON types.

    Raises
    ------
    serverless.functions.transfer.TransferError
        If an object cannot be read or written, or the global weights or a state are others than they should be.
    """
    probe = worker.probe()
    job = FederatedJob.from_dict(params["job"])
    with probe.phase("fetch"):
        like = weights_like(job.model)
        weights, weights_bytes = fetch_weights(params["weights_url"], like, params["weights_sha256"])
        data = fetch(params["data_url"])
        kept, kept_bytes = fetch_state(params, "state", client_state_like(job))
        shared, shared_bytes = fetch_state(params, "shared", shared_state_like(job))
        arrays = weights, *unpack_images(data), kept
    update = local_update(job, params["client_id"], params["server_round"], *arrays, probe, shared)
    with probe.phase("store"):
        stamp = Stamp(params["server_round"], params["client_id"], params["attempt"], update.num_examples)
        encoded = dumps(update.weights, stamp)
        new_state = b"" if update.optimizer_state is None else dumps(update.optimizer_state, stamp)
        if new_state:
            deliver(params["new_state_url"], new_state)
        deliver(params["update_url"], encoded)  # last: an update in the store is a whole one
    return ClientAnswer(
        num_examples=update.num_examples,
        train_loss=update.train_loss,
        bytes_in=weights_bytes + len(data) + kept_bytes + shared_bytes,
        update_sha256=digest(encoded),
        state_sha256=digest(new_state) if new_state else None,
        bytes_out=len(encoded) + len(new_state),
        work=probe.report(),
    ).to_dict()
