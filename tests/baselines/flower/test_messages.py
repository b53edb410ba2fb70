import numpy as np
import pytest
from flwr.app import Array, Error, Message, MessageType, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from baselines.flower.messages import failure, read_answer, size_bytes, success, to_record, to_weights
from metrics.collect.probe import Probe
from task.weights import CorruptWeights, Stamp

STAMP = Stamp(server_round=2, client_id=5, attempt=1, num_examples=600)

WEIGHTS = st.dictionaries(
    st.text(min_size=1, max_size=8), arrays(np.float32, array_shapes(min_dims=0, max_dims=3, max_side=4)), max_size=4
)


def reply(content: RecordDict | Error) -> Message:
    sent = Message(RecordDict(), dst_node_id=1, message_type=MessageType.TRAIN)
    sent.metadata.__dict__["_message_id"] = "sent"
    return Message(content, reply_to=sent)


@given(WEIGHTS)
def test_weights_survive_the_trip_to_the_bit(weights):
    """An optimizer's step is a scalar: it must not come back as a vector of one."""
    back = to_weights(to_record(weights))

    assert list(back) == list(weights)
    for name, array in weights.items():
        assert back[name].dtype == np.float32
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def test_size_counts_the_encoded_arrays():
    few, many = ({"w": np.zeros(n, np.float32)} for n in (10, 1010))

    assert size_bytes(to_record(many)) - size_bytes(to_record(few)) == 4000


def test_an_answer_comes_back_with_its_work():
    probe = Probe()
    with probe.phase("train"):
        pass
    work = probe.report()
    arrays_ = to_record({"w": np.ones(3, np.float32)})

    answer = read_answer(STAMP, reply(success(arrays_, STAMP, 0.25, work)), timeout_s=1)

    assert (answer.client_id, answer.num_examples, answer.train_loss) == (5, 600, 0.25)
    assert answer.work == work
    assert answer.error_kind is None
    assert answer.arrays == arrays_


def test_a_failure_tells_its_traceback_and_what_it_cost():
    work = Probe().report()

    answer = read_answer(STAMP, reply(failure("ZeroDivisionError", "Traceback ...", work)), timeout_s=1)

    assert (answer.error_kind, answer.error, answer.work) == ("ZeroDivisionError", "Traceback ...", work)
    assert answer.arrays is None


def test_an_error_of_flower_itself_is_a_failure():
    answer = read_answer(STAMP, reply(Error(code=0, reason="the worker process died")), timeout_s=1)

    assert answer.error_kind == "flower error 0"
    assert answer.error == "the worker process died"
    assert answer.work is None


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (lambda it: it["metrics"].update({"num-examples": 6000}), "corrupt update", "num-examples is not 600"),
        (lambda it: it["metrics"].update({"num-examples": 600.5}), "corrupt update", "num-examples"),
        (lambda it: it["metrics"].update({"server-round": 1}), "corrupt update", "server-round is not 2"),
        (lambda it: it["metrics"].update({"client-id": 4}), "corrupt update", "client-id is not 5"),
        (lambda it: it["metrics"].update({"train-loss": float("nan")}), "corrupt update", "train_loss is nan: the"),
        (lambda it: it["metrics"].pop("train-loss"), "rubbish answer", "train-loss"),
        (lambda it: it["report"].update({"work": "[" * 100_000}), "rubbish answer", "nested too deeply"),
        (lambda it: it["report"].update({"work": "{}"}), "rubbish answer", "KeyError"),
        (lambda it: it.pop("report"), "rubbish answer", "report"),
        (lambda it: it.pop("arrays"), "rubbish answer", "arrays"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused_in_a_short_text(change, kind, told):
    content = success(to_record({"w": np.ones(3, np.float32)}), STAMP, 0.25, Probe().report())
    change(content)

    answer = read_answer(STAMP, reply(content), timeout_s=1)

    assert answer.error_kind == kind
    assert told in answer.error
    assert len(answer.error) <= 200
    assert answer.arrays is None


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"w": np.ones(4, np.float32)}, r"w is float32\[4\], expected float32\[3\]"),
        ({"w": np.ones(3)}, "w is float64"),
        ({"w": np.float32([1, np.inf, 0])}, "not finite"),
        ({"w": np.ones(3, np.float32), "x" * 10**6: np.ones(1)}, "missing arrays: xxx"),
        ({}, "missing arrays: w"),
    ],
)
def test_other_arrays_than_the_model_has_are_refused_before_they_are_decoded(sent, told):
    with pytest.raises(CorruptWeights, match=told) as refused:
        to_weights(to_record(sent), like={"w": np.zeros(3, np.float32)})
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x93NUMPY\x01\x00" + b"\xff" * 40, bytes(10_000)])
def test_an_array_that_is_not_what_it_says_is_refused(data):
    record = to_record({"w": np.ones(3, np.float32)})
    record["w"] = Array(dtype="float32", shape=(3,), stype=record["w"].stype, data=data)
    with pytest.raises(CorruptWeights):
        to_weights(record, like={"w": np.zeros(3, np.float32)})


def test_no_answer_is_a_failure_that_names_the_limit():
    answer = read_answer(STAMP, None, timeout_s=90)

    assert answer.error_kind == "timeout"
    assert "flower.round_timeout_s=90" in str(answer.error)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_in_memory_does_not_matter(order):
    array = np.asarray(np.arange(6, dtype=np.float32).reshape(2, 3), order=order)

    assert to_weights(to_record({"w": array}))["w"].tolist() == array.tolist()
