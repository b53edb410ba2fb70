"""The aggregator over a directory: the average of a round, or the names of the updates that must not enter it."""

import json
import time

import numpy as np
import pytest

from metrics.collect.probe import WorkerProcess, WorkReport
from serverless.functions.aggregator import Aggregator
from serverless.functions.payload import pack_images
from serverless.functions.transfer import TransferError
from serverless.invocations.answers import read_aggregator_answer, read_evaluation
from task.aggregation import StreamingAverage
from task.job import FederatedJob
from task.models import initial_weights
from task.weights import dumps, loads, sha256

JOB = FederatedJob(model="mlp50", clients=3, clients_per_round=3)
UPDATES = {client: initial_weights("mlp50", seed=client) for client in range(3)}


def params(folder, **contents):
    """Parameters of a call over updates with these contents; ``None`` leaves an update out of the store."""
    for client, data in ({f"u{client}": dumps(UPDATES[client]) for client in UPDATES} | contents).items():
        if data is not None:
            (folder / client).write_bytes(data)
    images = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    (folder / "test").write_bytes(pack_images(*images))
    return {
        "job": JOB.to_dict(),
        "updates": [
            {"client_id": client, "url": (folder / f"u{client}").as_uri(), "num_examples": 10 + client}
            for client in UPDATES
        ],
        "weights_url": (folder / "weights").as_uri(),
        "evaluation_url": (folder / "evaluation").as_uri(),
        "test_url": (folder / "test").as_uri(),
        "test_sha256": str(folder),
    }


def call(given):
    return json.loads(json.dumps(Aggregator(WorkerProcess(time.time())).handle(given)))


def changed(name, change):
    return dumps(UPDATES[1] | {name: change(UPDATES[1][name])})


def test_the_average_lies_in_the_store_with_its_evaluation_before_the_answer_comes(tmp_path):
    answer = call(params(tmp_path))
    expected = StreamingAverage()
    for client, update in UPDATES.items():
        expected.add(update, 10 + client)
    assert answer["weights_sha256"] == sha256(expected.result()) == sha256(loads((tmp_path / "weights").read_bytes()))
    read = read_aggregator_answer(answer, 33, UPDATES.keys())
    assert read.work == WorkReport.from_dict(answer["work"])
    kept = json.loads((tmp_path / "evaluation").read_bytes())
    assert vars(read_evaluation(kept, 33)).items() <= vars(read).items()
    assert kept.items() <= answer.items()
    assert answer["bytes_out"] == sum((tmp_path / name).stat().st_size for name in ("weights", "evaluation"))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "0 bytes are not whole"),
        (dumps(UPDATES[1])[:-1], "are not whole"),
        (b"\x00" * 1000, "are not whole"),
        (None, "No such file"),
        (
            changed("logits/bias", lambda array: array * np.float32("nan")),
            "logits/bias holds a value that is not finite",
        ),
        (changed("logits/bias", lambda array: array + np.float32("inf")), "not finite"),
        (changed("logits/bias", lambda array: array[:-1]), r"logits/bias is float32[9], expected float32[10]"),
        (changed("logits/bias", lambda array: array.astype(np.float64)), "float64"),
        (dumps({f"x{name}": array for name, array in UPDATES[1].items()}), "unexpected or missing arrays"),
        (dumps({}), "unexpected or missing arrays"),
    ],
)
def test_a_corrupt_update_is_named_and_nothing_is_averaged(tmp_path, content, error):
    answer = call(params(tmp_path, u1=content))
    (found,) = read_aggregator_answer(answer, 33, UPDATES.keys()).corrupt
    assert found.client_id == 1
    assert error in found.error
    assert not (tmp_path / "weights").exists()
    assert not (tmp_path / "evaluation").exists()


def test_all_corrupt_updates_are_named_the_first_one_too(tmp_path):
    answer = call(params(tmp_path, u0=b"rubbish", u2=None))
    found = read_aggregator_answer(answer, 33, UPDATES.keys()).corrupt
    assert [one.client_id for one in found] == [0, 2]


def test_the_time_that_corrupt_updates_took_is_in_a_phase(tmp_path):
    work = call(params(tmp_path, u0=b"rubbish"))["work"]
    assert "aggregate" in {span["phase"] for span in work["spans"]}


def test_a_store_that_refuses_is_no_corrupt_update(tmp_path):
    given = params(tmp_path)
    given["updates"][1]["url"] = "ftp://elsewhere/u1"
    with pytest.raises(TransferError):
        Aggregator(WorkerProcess(time.time())).handle(given)
