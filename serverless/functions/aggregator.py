"""The aggregator function: average the updates of a round, store the new global weights, evaluate them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from metrics.collect.probe import WorkerProcess
from serverless.functions.engine import import_engine
from serverless.functions.global_weights import fetch_state, fetch_weights
from serverless.functions.messages import (
    AggregatorParams,
    AverageAnswer,
    CorruptAnswer,
    CorruptUpdate,
    Evaluation,
)
from serverless.functions.payload import Images, unpack_images
from serverless.functions.transfer import TOO_LARGE, TransferError, deliver, fetch
from task.aggregation import Aggregation
from task.evaluation import evaluate
from task.job import FederatedJob
from task.models import weights_like
from task.states import server_state_like
from task.weights import CorruptWeights, Stamp, digest, dumps, largest_bytes, read, sha256

import_engine()


@dataclass
class Aggregator:
    """The function in one process, ``worker``: it reads the test images once."""

    worker: WorkerProcess
    _test_images: dict[str, Images] = field(default_factory=dict)

    def handle(self, params: AggregatorParams) -> dict[str, Any]:
        """Finish one round; return an ``AverageAnswer`` or a ``CorruptAnswer`` as JSON types.

        If updates are damaged, missing or of another model, nothing is averaged. See
        :mod:`serverless.functions.messages`.

        Raises
        ------
        serverless.functions.transfer.TransferError
            If an object cannot be read or written.
        """
        probe = self.worker.probe()
        job = FederatedJob.from_dict(params["job"])
        with probe.phase("aggregate"):
            average, corrupt, bytes_in = _aggregate(job, params)
            if not corrupt:
                weights = average.result()
                encoded, state = dumps(weights), dumps(average.state) if average.state else b""
                if state:
                    deliver(params["new_state_url"], state)
                deliver(params["weights_url"], encoded)
        if corrupt:
            return CorruptAnswer(corrupt=corrupt, bytes_in=bytes_in, bytes_out=0, work=probe.report()).to_dict()
        with probe.phase("fetch"):
            if params["test_sha256"] not in self._test_images:  # a warm container has them
                data = fetch(params["test_url"])
                self._test_images[params["test_sha256"]] = unpack_images(data)
                bytes_in += len(data)
            images, labels = self._test_images[params["test_sha256"]]
        with probe.phase("evaluate"):
            evaluation = evaluate(job.model, weights, images, labels)
        found = Evaluation(
            test_accuracy=evaluation.test_accuracy,
            test_loss=evaluation.test_loss,
            weights_sha256=sha256(weights),
            num_examples=average.num_examples,
            state_sha256=digest(state) if state else None,
        )
        with probe.phase("store"):
            kept = json.dumps(asdict(found)).encode()
            deliver(params["evaluation_url"], kept)  # last: weights and state are in the store
        bytes_out = len(encoded) + len(state) + len(kept)
        return AverageAnswer(**vars(found), bytes_in=bytes_in, bytes_out=bytes_out, work=probe.report()).to_dict()


def _aggregate(job: FederatedJob, params: AggregatorParams) -> tuple[Aggregation, tuple[CorruptUpdate, ...], int]:
    """Take a round's updates; return them, what is wrong with those that must not enter, and the bytes read."""
    like, start, bytes_in = weights_like(job.model), None, 0
    if "start_url" in params:
        start, bytes_in = fetch_weights(params["start_url"], like, params["start_sha256"])
    state, state_bytes = fetch_state(params, "state", server_state_like(job))
    aggregation, corrupt, bytes_in = Aggregation(job, start, state), [], bytes_in + state_bytes
    for update in params["updates"]:
        client_id, num_examples = update["client_id"], update["num_examples"]
        try:
            data = fetch(update["url"], largest_bytes(like))
            bytes_in += len(data)
            stamp = Stamp(params["server_round"], client_id, update["attempt"], num_examples)
            aggregation.add(read(data, like, stamp=stamp, sha256=update["sha256"]), num_examples)
        except (CorruptWeights, TransferError) as error:
            if isinstance(error, TransferError) and error.status not in (404, TOO_LARGE):
                raise
            corrupt.append(CorruptUpdate(client_id=client_id, error=str(error)))
    return aggregation, tuple(corrupt), bytes_in
