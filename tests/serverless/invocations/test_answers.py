"""The keeper reads every kind of answer as the function gave it, and nothing else."""

import json
from dataclasses import fields

import pytest

from metrics.collect.probe import Probe
from serverless.functions.messages import AverageAnswer, ClientAnswer, CorruptAnswer, CorruptUpdate, InvokerAnswer
from serverless.invocations.answers import (
    BadAnswer,
    WrongUpdate,
    read_aggregator_answer,
    read_client_answer,
    read_evaluation,
    read_invoker_answer,
)

PROBE = Probe()
MOVED = {"bytes_in": 7, "bytes_out": 8, "work": PROBE.report()}
UPDATE = {"update_sha256": 64 * "b"}
EVALUATION = {"test_accuracy": 0.5, "test_loss": 1.25, "weights_sha256": 64 * "a", "num_examples": 30}


def sent(answer):
    return json.loads(json.dumps(answer.to_dict()))


def as_json(report):
    """Equal reports: JSON has lists where a report has tuples."""
    return json.loads(json.dumps(report.to_dict()))


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (ClientAnswer(num_examples=30, train_loss=0.5, **UPDATE, **MOVED), lambda it: read_client_answer(it, 30)),
        (
            ClientAnswer(num_examples=30, train_loss=0.5, state_sha256=64 * "c", **UPDATE, **MOVED),
            lambda it: read_client_answer(it, 30, keeps_state=True),
        ),
        (AverageAnswer(**EVALUATION, **MOVED), lambda it: read_aggregator_answer(it, 30, {1, 2})),
        (
            CorruptAnswer(corrupt=(CorruptUpdate(client_id=2, error="half"),), **MOVED),
            lambda it: read_aggregator_answer(it, 30, {1, 2}),
        ),
        (InvokerAnswer(record={"activationId": "a"}, **MOVED), read_invoker_answer),
        (InvokerAnswer(error_kind="throttled", reason="too many", may_have_run=False, **MOVED), read_invoker_answer),
    ],
)
def test_an_answer_is_read_as_it_was_given(answer, read):
    assert as_json(read(sent(answer))) == as_json(answer)
    assert type(read(sent(answer))) is type(answer)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_accuracy": 1.5}, "test_accuracy is 1.5, not a number from 0 to 1"),
        ({"test_accuracy": True}, "test_accuracy is True"),
        ({"test_loss": "low"}, "test_loss is 'low', not a finite number"),
        ({"test_loss": float("nan")}, "test_loss is nan, not a finite number"),
        ({"weights_sha256": "a"}, "weights_sha256 is 'a', not a hash"),
        ({"weights_sha256": 64 * "g"}, "not a hash"),
        ({"num_examples": 31}, "num_examples is 31; 30 were to be averaged"),
    ],
)
def test_an_evaluation_out_of_its_bounds_is_refused(changes, words):
    with pytest.raises(BadAnswer, match=words):
        read_evaluation(EVALUATION | changes, 30)


@pytest.mark.parametrize("corrupt", [[], {}, "1", [{"client_id": 3, "error": "half"}], [{"client_id": 1}], [1]])
def test_only_updates_that_were_sent_can_be_corrupt(corrupt):
    with pytest.raises(BadAnswer, match="corrupt"):
        read_aggregator_answer(sent(CorruptAnswer(corrupt=(), **MOVED)) | {"corrupt": corrupt}, 30, {1, 2})


def test_an_update_of_other_images_is_told_apart_from_rubbish():
    with pytest.raises(WrongUpdate, match="num_examples is 29; the client has 30 images"):
        read_client_answer(sent(ClientAnswer(num_examples=29, train_loss=None, **UPDATE, **MOVED)), 30)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_that_of_a_corrupt_update(loss):
    with pytest.raises(WrongUpdate, match="the client's training diverged"):
        read_client_answer(sent(ClientAnswer(num_examples=30, train_loss=loss, **UPDATE, **MOVED)), 30)


@pytest.mark.parametrize("changes", [{"update_sha256": None}, {"update_sha256": "x"}, {"state_sha256": 5}])
def test_an_answer_names_the_bytes_that_it_left(changes):
    answer = ClientAnswer(num_examples=30, train_loss=0.5, state_sha256=64 * "c", **UPDATE, **MOVED)
    with pytest.raises(BadAnswer, match="not a hash"):
        read_client_answer(sent(answer) | changes, 30, keeps_state=True)


def test_a_kept_optimizer_state_must_be_named_too():
    with pytest.raises(BadAnswer, match="state_sha256 is None"):
        read_client_answer(sent(ClientAnswer(num_examples=30, train_loss=0.5, **UPDATE, **MOVED)), 30, keeps_state=True)


def test_no_answer_looks_like_an_error_to_openwhisk():
    """OpenWhisk takes an answer with a key ``error`` for a failed activation, whatever its value."""
    for kind in (ClientAnswer, AverageAnswer, CorruptAnswer, InvokerAnswer):
        assert "error" not in [field.name for field in fields(kind)]


def test_what_an_invoker_says_of_its_client_is_not_trusted():
    answer = sent(InvokerAnswer(**MOVED)) | {"record": [1], "error_kind": 3, "reason": {}, "may_have_run": "no"}
    read = read_invoker_answer(answer)
    assert (read.record, read.error_kind, read.reason, read.may_have_run) == (None, None, None, True)
