"""What travels in Flower's messages: weights as arrays, a client's figures and its work report beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from metrics.collect.probe import WorkReport
from task.weights import Weights

ARRAYS, METRICS, CONFIG, REPORT, OPTIMIZER = "arrays", "metrics", "config", "report", "optimizer"
WANTED = "wanted"  # in a query: the names of what is asked for
NUM_EXAMPLES, TRAIN_LOSS, SERVER_ROUND = "num-examples", "train-loss", "server-round"


def to_record(weights: Weights) -> ArrayRecord:
    """Encode weights as Flower's arrays: NumPy's own format, without pickle."""
    return ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in weights.items()})


def to_weights(record: ArrayRecord) -> Weights:
    """Decode Flower's arrays."""
    return {name: array.numpy() for name, array in record.items()}


def size_bytes(record: ArrayRecord) -> int:
    """Return the bytes of the encoded arrays."""
    return sum(len(array.data) for array in record.values())


@dataclass(frozen=True)
class Answer:
    """What came back, or did not, for one train message.

    Parameters
    ----------
    arrays, num_examples, train_loss
        The update; ``None`` if the client failed.
    work
        The report of the client's work; ``None`` if it failed before it could measure, or did not answer.
    error_kind, error
        Why there is no update: the exception's name (or ``timeout``), and the remote traceback.
    """

    client_id: int
    arrays: ArrayRecord | None = None
    num_examples: int | None = None
    train_loss: float | None = None
    work: WorkReport | None = None
    error_kind: str | None = None
    error: str | None = None


def success(arrays: ArrayRecord, num_examples: int, train_loss: float, work: WorkReport) -> RecordDict:
    """Return the content of a client's answer."""
    metrics = MetricRecord({NUM_EXAMPLES: num_examples, TRAIN_LOSS: train_loss})
    report = ConfigRecord({"work": json.dumps(work.to_dict())})
    return RecordDict({ARRAYS: arrays, METRICS: metrics, REPORT: report})


def failure(error_kind: str, error: str, work: WorkReport) -> RecordDict:
    """Return the content of the answer of a client that failed, with its report: failed work has a cost, too."""
    values = {"work": json.dumps(work.to_dict()), "error_kind": error_kind, "error": error}
    return RecordDict({REPORT: ConfigRecord(dict(values))})


def read_answer(client_id: int, reply: Message | None, timeout_s: float) -> Answer:
    """Read the answer of one client; ``None`` is a client that did not answer within ``timeout_s``."""
    if reply is None:
        return Answer(
            client_id, error_kind="timeout", error=f"no answer within flower.round_timeout_s={timeout_s:g} seconds"
        )
    if reply.has_error():
        kind = f"flower error {reply.error.code}"
        return Answer(client_id, error_kind=kind, error=reply.error.reason)
    content = reply.content
    report = content.config_records[REPORT]
    work = WorkReport.from_dict(json.loads(cast(str, report["work"])))
    if "error" in report:
        kind, error = cast(str, report["error_kind"]), cast(str, report["error"])
        return Answer(client_id, work=work, error_kind=kind, error=error)
    metrics = content.metric_records[METRICS]
    return Answer(
        client_id,
        arrays=content.array_records[ARRAYS],
        num_examples=int(cast(int, metrics[NUM_EXAMPLES])),
        train_loss=float(cast(float, metrics[TRAIN_LOSS])),
        work=work,
    )
