"""What travels in Flower's messages: weights as arrays, a client's figures and its work report beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from machine.foreign_texts import plain
from machine.json_values import read_json
from metrics.collect.probe import WorkReport
from metrics.collect.row_types import CORRUPT_UPDATE, RUBBISH_ANSWER
from task.weights import CorruptWeights, Stamp, Weights, check, compare, described, diverged

ARRAYS, METRICS, CONFIG, REPORT, OPTIMIZER = "arrays", "metrics", "config", "report", "optimizer"
SHARED = "shared"  # the strategy's state, where clients get it
WANTED = "wanted"  # in a query: the names of what is asked for
NUM_EXAMPLES, TRAIN_LOSS, SERVER_ROUND, CLIENT_ID = "num-examples", "train-loss", "server-round", "client-id"
_NPY_HEADER_BYTES = 1024  # of one array in NumPy's format; it takes 128
_MOST_CHARACTERS = 10_000  # of a remote traceback
_SHOWN = 200


def to_record(weights: Weights) -> ArrayRecord:
    """Encode weights as Flower's arrays: NumPy's own format, without pickle."""
    return ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in weights.items()})


def to_weights(record: ArrayRecord, like: Weights | None = None) -> Weights:
    """Decode Flower's arrays.

    Parameters
    ----------
    like
        Arrays of the names, shapes and type that are expected: nothing else is decoded. ``None``: from whom anything
        is taken.

    Raises
    ------
    CorruptWeights
        If there are other arrays, or a value that is not finite.
    """
    if like is None:
        return {name: array.numpy() for name, array in record.items()}
    found = {name: described(array.dtype, array.shape) for name, array in record.items()}
    compare(found, like)
    for name, array in record.items():
        if len(array.data) > like[name].nbytes + _NPY_HEADER_BYTES:
            raise CorruptWeights(f"{name} has {len(array.data)} bytes: {like[name].nbytes} were expected")
    try:
        weights = {name: array.numpy() for name, array in record.items()}
    except (ValueError, TypeError, EOFError, OSError, RecursionError, SyntaxError) as error:
        raise CorruptWeights(f"an array cannot be decoded ({type(error).__name__})") from error
    check(weights, like)
    return weights


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


def success(arrays: ArrayRecord, stamp: Stamp, train_loss: float, work: WorkReport) -> RecordDict:
    """Return the content of a client's answer."""
    metrics = MetricRecord({**_stamped(stamp), TRAIN_LOSS: train_loss})
    report = ConfigRecord({"work": json.dumps(work.to_dict())})
    return RecordDict({ARRAYS: arrays, METRICS: metrics, REPORT: report})


def failure(error_kind: str, error: str, work: WorkReport) -> RecordDict:
    """Return the content of the answer of a client that failed, with its report: failed work has a cost, too."""
    values = {"work": json.dumps(work.to_dict()), "error_kind": error_kind, "error": error}
    return RecordDict({REPORT: ConfigRecord(dict(values))})


def _stamped(stamp: Stamp) -> dict[str, int]:
    return {NUM_EXAMPLES: stamp.num_examples, SERVER_ROUND: stamp.server_round, CLIENT_ID: stamp.client_id}


def read_answer(stamp: Stamp, reply: Message | None, timeout_s: float) -> Answer:
    """Read the answer of one client, which may have sent anything.

    Parameters
    ----------
    stamp
        What the client was asked for: its update must say the same.
    reply
        ``None``: the client did not answer within ``timeout_s``.
    """
    client_id = stamp.client_id
    if reply is None:
        return Answer(
            client_id, error_kind="timeout", error=f"no answer within flower.round_timeout_s={timeout_s:g} seconds"
        )
    if reply.has_error():
        kind = f"flower error {reply.error.code}"
        return Answer(client_id, error_kind=kind, error=plain(str(reply.error.reason), _MOST_CHARACTERS))
    try:
        return _read(stamp, reply.content)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Answer(client_id, error_kind=RUBBISH_ANSWER, error=plain(f"{type(error).__name__}: {error}", _SHOWN))


def _read(stamp: Stamp, content: RecordDict) -> Answer:
    client_id, report = stamp.client_id, content.config_records[REPORT]
    work = WorkReport.from_dict(read_json(cast(str, report["work"])))
    if "error" in report:
        kind, error = plain(str(report["error_kind"]), _SHOWN), str(report["error"])[-_MOST_CHARACTERS:]
        return Answer(client_id, work=work, error_kind=kind, error=plain(error, _MOST_CHARACTERS))
    metrics = content.metric_records[METRICS]
    loss = float(cast(float, metrics[TRAIN_LOSS]))
    wrong = [f"{key} is not {value}" for key, value in _stamped(stamp).items() if metrics.get(key) != value]
    if wrong:
        return Answer(client_id, work=work, error_kind=CORRUPT_UPDATE, error=", ".join(wrong))
    if said := diverged(loss):
        return Answer(client_id, work=work, error_kind=CORRUPT_UPDATE, error=said)
    return Answer(
        client_id,
        arrays=content.array_records[ARRAYS],
        num_examples=stamp.num_examples,
        train_loss=loss,
        work=work,
    )
