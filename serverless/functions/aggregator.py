"""The aggregator function: average the updates of a round, store the new global weights, evaluate them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from metrics.collect.probe import WorkerProcess
from serverless.functions.engine import import_engine
from serverless.functions.messages import (
    AggregatorParams,
    AverageAnswer,
    CorruptAnswer,
    CorruptUpdate,
    Evaluation,
    UpdateParams,
)
from serverless.functions.payload import Images, unpack_images
from serverless.functions.transfer import TransferError, deliver, fetch
from task.aggregation import StreamingAverage
from task.evaluation import evaluate
from task.job import FederatedJob
from task.models import parameter_shapes
from task.weights import CorruptWeights, Weights, dumps, loads, sha256

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
            average, corrupt, bytes_in = _average(job, params["updates"])
            if not corrupt:
                weights = average.result()
                encoded = dumps(weights)
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
        )
        with probe.phase("store"):
            kept = json.dumps(asdict(found)).encode()
            deliver(params["evaluation_url"], kept)  # last: the weights are in the store
        bytes_out = len(encoded) + len(kept)
        return AverageAnswer(**vars(found), bytes_in=bytes_in, bytes_out=bytes_out, work=probe.report()).to_dict()


def _average(job: FederatedJob, updates: list[UpdateParams]) -> tuple[StreamingAverage, tuple[CorruptUpdate, ...], int]:
    """Add up a round's updates; return the sum, what is wrong with those that must not enter it, and the bytes read."""
    average, corrupt, bytes_in = StreamingAverage(like=_expected(job)), [], 0
    for update in updates:
        try:
            data = fetch(update["url"])
            bytes_in += len(data)
            average.add(loads(data), update["num_examples"])
        except (CorruptWeights, TransferError) as error:
            if isinstance(error, TransferError) and error.status != 404:
                raise
            corrupt.append(CorruptUpdate(client_id=update["client_id"], error=str(error)))
    return average, tuple(corrupt), bytes_in


def _expected(job: FederatedJob) -> Weights:
    """Return arrays of the model's names and shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in parameter_shapes(job.model).items()}
