"""Keys of a run's objects: each attempt has its own, and a round's are its own whenever they are asked for."""

from dataclasses import replace

import numpy as np
import pytest

from metrics.collect.checkpoints import ResumePoint
from serverless.storage import DirectorySettings, ObjectMissing, open_store
from serverless.storage.run_objects import RunObjects, Update
from task.engines.optimizers import state_like
from task.job import FederatedJob, StrategySpec
from task.models import initial_weights
from task.weights import CorruptWeights, Stamp, digest, dumps, sha256

JOB = FederatedJob(model="mlp50", clients=3, clients_per_round=3, optimizer_state="keep")


@pytest.fixture
def objects(tmp_path):
    return RunObjects(open_store(DirectorySettings(tmp_path), "runs/r"), JOB, grant_s=60)


def weights(seed):
    return initial_weights("mlp50", seed)


def left(name, attempt=1, **changes):
    """What a client leaves in the store."""
    stamp = replace(Stamp(1, 2, attempt, 600), **changes)
    return dumps(weights(1) if name == "update_url" else state_like("mlp50", "adam"), stamp)


def test_a_late_question_about_a_round_gets_the_weights_of_that_round(objects):
    objects.publish_weights(0, weights(0))
    before = objects.client_params(1, 2, 1)
    objects.adopt(1, 3, "the hash")
    assert objects.client_params(1, 2, 1) == before
    assert objects.client_params(2, 2, 1)["weights_url"].endswith("weights/round-00001-attempt-3.safetensors")
    assert objects.client_params(2, 2, 1)["weights_sha256"] == "the hash"
    assert objects.aggregator_params(2, 1, [], "t")["start_sha256"] == "the hash"
    assert before["weights_sha256"] == sha256(weights(0))


def test_no_two_attempts_write_to_the_same_key(objects):
    objects.publish_weights(0, weights(0))
    written = [
        url
        for attempt in (1, 2)
        for client in (0, 1)
        for name, url in objects.client_params(1, client, attempt).items()
        if name in ("update_url", "new_state_url")
    ]
    written += [
        url
        for attempt in (1, 2)
        for name, url in objects.aggregator_params(1, attempt, [], "t").items()
        if name in ("weights_url", "evaluation_url")
    ]
    assert len(set(written)) == len(written) == 12


def test_a_resumed_run_finds_the_weights_that_its_round_ended_with_among_those_of_its_attempts(objects):
    for attempt, seed in ((1, 10), (2, 11), (3, 12)):
        objects.store.put(f"weights/round-00005-attempt-{attempt}.safetensors", dumps(weights(seed)))
    assert objects.restore(ResumePoint(5, 0.5, sha256(weights(11)), None, {})) == 5
    assert sha256(objects.weights(5)) == sha256(weights(11))
    with pytest.raises(CorruptWeights, match="have the hash"):
        objects.restore(ResumePoint(5, 0.5, sha256(weights(99)), None, {}))
    with pytest.raises(ObjectMissing):
        objects.restore(ResumePoint(4, 0.5, sha256(weights(11)), None, {}))


def test_an_evaluation_is_what_was_left_and_nothing_else(objects):
    assert objects.evaluation(1, 1) is None
    for content in (b"", b"[1]", b"{half", b"[" * 9_000, b'{"a": "' + b"x" * 10_000 + b'"}'):
        objects.store.put("evaluations/round-00001-attempt-1.json", content)
        assert objects.evaluation(1, 1) is None
    objects.store.put("evaluations/round-00001-attempt-1.json", b'{"test_loss": 1.5}')
    assert objects.evaluation(1, 1) == {"test_loss": 1.5}


def test_what_a_late_attempt_left_is_deleted_and_nothing_beside_it(objects):
    objects.publish_weights(0, weights(0))
    for attempt in (1, 2):
        for name, url in objects.client_params(1, 2, attempt).items():
            if name in ("update_url", "new_state_url"):
                objects.store.put(url.partition("runs/r/")[2], left(name, attempt))
    objects.forget_late(1, 2, 1)
    assert objects.stored(Stamp(1, 2, 1, 600)) is None
    assert objects.stored(Stamp(1, 2, 2, 600))
    assert [info.key for info in objects.store.list("states/")] == [
        "states/client-00002/round-00001-attempt-2.safetensors"
    ]
    assert objects.keep_states(1, [Update(2, 2, 600, "u", "s")]) == {
        2: b"states/client-00002/round-00001-attempt-2.safetensors s"
    }


def test_a_kept_state_goes_with_its_hash_and_one_of_an_older_run_without(objects):
    objects.publish_weights(0, weights(0))
    objects.keep_states(1, [Update(2, 2, 600, "u", "s")])
    assert objects.client_params(1, 2, 1)["state_sha256"] == "s"
    point = ResumePoint(1, 0.5, sha256(weights(0)), dumps(weights(0)), {2: b"states/older"})
    assert objects.restore(point) == 1
    params = objects.client_params(2, 2, 1)
    assert params["state_url"].endswith("states/older")
    assert "state_sha256" not in params


UPDATE = "updates/round-00001/client-00002-attempt-1.safetensors"
STATE = "states/client-00002/round-00001-attempt-1.safetensors"


@pytest.mark.parametrize(
    "broken",
    [
        {UPDATE: None},
        {STATE: None},
        {UPDATE: b"x"},
        {STATE: left("update_url")},
        {UPDATE: left("update_url", server_round=2)},
        {UPDATE: left("update_url", num_examples=601)},
        {UPDATE: dumps({name: array * np.float32("nan") for name, array in weights(1).items()}, Stamp(1, 2, 1, 600))},
        {UPDATE: bytes(10**6)},
    ],
)
def test_a_stored_copy_is_checked_as_strictly_as_an_answer(objects, broken):
    whole = {UPDATE: left("update_url"), STATE: left("new_state_url")}
    for key, data in (whole | broken).items():
        if data is not None:
            objects.store.put(key, data)
    assert objects.stored(Stamp(1, 2, 1, 600)) is None
    for key, data in whole.items():
        objects.store.put(key, data)
    assert objects.stored(Stamp(1, 2, 1, 600)).hashes() == (digest(whole[UPDATE]), digest(whole[STATE]))


SCAFFOLD = replace(JOB, optimizer="sgd", optimizer_state="reset", strategy=StrategySpec("scaffold", eta=1.0))


def test_weights_and_the_strategys_state_go_on_from_one_attempt_also_after_a_resume(tmp_path):
    store = open_store(DirectorySettings(tmp_path), "runs/r")
    objects = RunObjects(store, SCAFFOLD, grant_s=60)
    objects.publish_weights(0, weights(0))
    first = objects.aggregator_params(1, 1, [], "t")
    assert first["new_state_url"].endswith("states/server/round-00001-attempt-1.safetensors")
    assert "state_url" not in first
    assert "shared_url" not in objects.client_params(1, 2, 1)
    objects.adopt(1, 2, sha256(weights(0)), "s")
    states = objects.keep_states(1, [Update(2, 3, 600, "u", "c")])
    resumed = RunObjects(store, SCAFFOLD, grant_s=60)
    resumed.restore(ResumePoint(1, 0.5, sha256(weights(0)), dumps(weights(0)), states))
    for each in (objects, resumed):
        params, of_client = each.aggregator_params(2, 1, [], "t"), each.client_params(2, 2, 1)
        for url, digested in ((params["state_url"], params["state_sha256"]), (of_client["shared_url"], "s")):
            assert url.endswith("states/server/round-00001-attempt-2.safetensors")
            assert digested == "s"
        assert of_client["state_url"].endswith("states/client-00002/round-00001-attempt-3.safetensors")
        assert (of_client["state_sha256"], of_client["shared_sha256"]) == ("c", "s")
