"""The aggregator function: average the updates of a round, store the new global weights, evaluate them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.probe import Probe
from serverless.functions.payload import unpack_images
from serverless.functions.transfer import deliver, fetch
from task.aggregation import StreamingAverage
from task.evaluation import evaluate
from task.job import FederatedJob
from task.runtime import tensorflow
from task.weights import dumps, loads, sha256

tensorflow()  # a cold start pays for the import, not the first evaluation
_test_data: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}


def handle(params: dict[str, Any], ready_at: float) -> dict[str, Any]:
    """Finish one round.

    Parameters
    ----------
    params
        ``job``; ``updates``, a list of ``url`` and ``num_examples`` in ascending client order, the order in which they
        are added; ``weights_url``, where the average goes; ``test_url`` and ``test_sha256`` of the test images.
    ready_at
        When this process was ready to work, in seconds since the epoch.

    Returns
    -------
    dict
        ``test_accuracy``, ``test_loss``, ``weights_sha256``, ``num_examples``, ``bytes_in``, ``bytes_out`` and
        ``work``, the probe's report.

    Raises
    ------
    serverless.functions.transfer.TransferError
        If an object cannot be read or written.
    task.weights.CorruptWeights
        If an update is damaged or does not fit; its URL's path is named.
    """
    probe = Probe(ready_at=ready_at)
    job = FederatedJob.from_dict(params["job"])
    with probe.phase("aggregate"):
        average, bytes_in = StreamingAverage(), 0
        for update in params["updates"]:
            data = fetch(update["url"])
            average.add(loads(data), update["num_examples"])
            bytes_in += len(data)
        weights = average.result()
        encoded = dumps(weights)
        deliver(params["weights_url"], encoded)
    with probe.phase("fetch"):
        if params["test_sha256"] not in _test_data:  # a warm container has them
            data = fetch(params["test_url"])
            _test_data[params["test_sha256"]] = unpack_images(data)
            bytes_in += len(data)
        images, labels = _test_data[params["test_sha256"]]
    with probe.phase("evaluate"):
        evaluation = evaluate(job.model, weights, images, labels)
    return {
        "test_accuracy": evaluation.test_accuracy,
        "test_loss": evaluation.test_loss,
        "weights_sha256": sha256(weights),
        "num_examples": average.num_examples,
        "bytes_in": bytes_in,
        "bytes_out": len(encoded),
        "work": probe.report().to_dict(),
    }
