"""The aggregator over a directory: the average of a round, or the names of the updates that must not enter it."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from metrics.collect.probe import WorkerProcess, WorkReport
from serverless.functions import transfer
from serverless.functions.aggregator import Aggregator
from serverless.functions.payload import pack_images
from serverless.functions.transfer import TransferError
from serverless.invocations.answers import BadAnswer, read_aggregator_answer, read_evaluation
from task.aggregation import Aggregation
from task.job import FederatedJob, StrategySpec
from task.models import initial_weights
from task.states import server_state_like
from task.strategies.fedavg import StreamingAverage
from task.weights import Stamp, digest, dumps, largest_bytes, loads, sha256

JOB = FederatedJob(model="mlp50", clients=3, clients_per_round=3)
YOGI = replace(JOB, strategy=StrategySpec("fedyogi", eta=0.1, beta_1=0.9, beta_2=0.99, tau=0.001))
START = initial_weights("mlp50", seed=9)
STAMPS = {client: Stamp(4, client, 1, 10 + client) for client in range(3)}
UPDATES = {client: initial_weights("mlp50", seed=client) for client in range(3)}


@pytest.fixture(autouse=True)
def store(tmp_path, deployed_for):
    """The folder of a test is its store."""
    deployed_for(tmp_path.as_uri())


def params(folder, **contents):
    """Parameters of a call over updates with these contents; ``None`` leaves an update out of the store."""
    stored = {f"u{client}": dumps(UPDATES[client], STAMPS[client]) for client in UPDATES} | contents
    for name, data in stored.items():
        if data is not None:
            (folder / name).write_bytes(data)
    (folder / "start").write_bytes(dumps(START))
    images = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    (folder / "test").write_bytes(pack_images(*images))
    return {
        "job": JOB.to_dict(),
        "server_round": 4,
        "updates": [
            {
                "client_id": client,
                "attempt": 1,
                "url": (folder / f"u{client}").as_uri(),
                "sha256": digest(stored[f"u{client}"] or b""),
                "num_examples": 10 + client,
            }
            for client in UPDATES
        ],
        "start_url": (folder / "start").as_uri(),
        "start_sha256": sha256(START),
        "weights_url": (folder / "weights").as_uri(),
        "evaluation_url": (folder / "evaluation").as_uri(),
        "test_url": (folder / "test").as_uri(),
        "test_sha256": str(folder),
    }


def call(given):
    return json.loads(json.dumps(Aggregator(WorkerProcess(time.time())).handle(given)))


def changed(name, change):
    return dumps(UPDATES[1] | {name: change(UPDATES[1][name])}, STAMPS[1])


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
        (dumps(UPDATES[1], STAMPS[1])[:-1], "are not whole"),
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
        (
            changed("logits/bias", lambda array: array + np.float32(3e38)),
            "its norm is 9.487e+38, more than max_update_norm=1000",
        ),
        (dumps(UPDATES[1], replace(STAMPS[1], server_round=3)), "another update: server_round=3"),
        (dumps(UPDATES[1], replace(STAMPS[1], attempt=2)), "another update: attempt=2"),
        (dumps(UPDATES[1], STAMPS[2]), "another update: client_id=2"),
        (dumps(UPDATES[1] | {"x" * 10**6: UPDATES[1]["logits/bias"]}), "larger than the"),
        (bytes(10**6), "larger than the"),
    ],
)
def test_a_corrupt_update_is_named_and_nothing_is_averaged(tmp_path, content, error):
    answer = call(params(tmp_path, u1=content))
    (found,) = read_aggregator_answer(answer, 33, UPDATES.keys()).corrupt
    assert found.client_id == 1
    assert error in found.error
    assert not (tmp_path / "weights").exists()
    assert not (tmp_path / "evaluation").exists()


def test_an_update_that_was_written_again_after_the_answer_is_refused(tmp_path):
    given = params(tmp_path)
    (tmp_path / "u1").write_bytes(changed("logits/bias", lambda array: array + 1))
    (found,) = read_aggregator_answer(call(given), 33, UPDATES.keys()).corrupt
    assert found.client_id == 1
    assert "not the bytes that counted" in found.error


def test_of_an_object_that_is_too_large_no_more_is_read_than_an_update_may_take(tmp_path, monkeypatch):
    largest = largest_bytes(START)
    read = []
    monkeypatch.setattr(transfer, "_read", lambda path, most: read.append(most) or path.read_bytes()[: most + 1])
    (tmp_path / "big").write_bytes(bytes(2 * largest))
    with pytest.raises(TransferError, match=f"larger than the {largest} bytes"):
        transfer.fetch((tmp_path / "big").as_uri(), largest)
    assert read == [largest]


def test_without_a_bound_the_global_weights_are_not_read(tmp_path):
    given = params(tmp_path, u1=changed("logits/bias", lambda array: array + np.float32(3e38)))
    del given["start_url"]
    given["job"]["max_update_norm"] = None
    assert "corrupt" not in call(given)


def test_a_strategy_of_the_job_makes_the_average(tmp_path):
    given = params(tmp_path)
    given["job"] = replace(JOB, strategy=StrategySpec("median")).to_dict()
    expected = {name: np.median([update[name] for update in UPDATES.values()], axis=0) for name in START}
    assert call(given)["weights_sha256"] == sha256(expected)


def with_state(folder, before=None):
    """Parameters of a round of FedYogi that goes on from this state."""
    given = params(folder) | {"new_state_url": (folder / "state").as_uri()}
    given["job"] = YOGI.to_dict()
    if before:
        (folder / "before").write_bytes(before)
        given |= {"state_url": (folder / "before").as_uri(), "state_sha256": digest(before)}
    return given


def test_a_strategys_state_goes_on_from_the_round_before_and_is_named_in_answer_and_evaluation(tmp_path):
    first = call(with_state(tmp_path))
    before = (tmp_path / "state").read_bytes()
    given = with_state(tmp_path, before)
    answers = [call(given) for _ in range(2)]  # the second time, because the first answer was lost
    expected = Aggregation(YOGI, START, loads(before))
    for client, update in UPDATES.items():
        expected.add(update, 10 + client)
    weights = expected.result()
    for answer in answers:
        assert answer["weights_sha256"] == sha256(weights) != first["weights_sha256"]
        assert answer["state_sha256"] == digest((tmp_path / "state").read_bytes())
    assert sha256(loads((tmp_path / "state").read_bytes())) == sha256(expected.state)
    kept = json.loads((tmp_path / "evaluation").read_bytes())
    assert read_evaluation(kept, 33, keeps_state=True).state_sha256 == answers[0]["state_sha256"]
    with pytest.raises(BadAnswer, match="state_sha256"):
        read_evaluation({**kept, "state_sha256": None}, 33, keeps_state=True)


def test_a_state_of_another_round_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.001)
    call(with_state(tmp_path))
    given = with_state(tmp_path, (tmp_path / "state").read_bytes())
    (tmp_path / "before").write_bytes(dumps(server_state_like(YOGI)))
    with pytest.raises(TransferError, match="these are not the arrays of the state"):
        Aggregator(WorkerProcess(time.time())).handle(given)


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
