"""Whatever a function or a platform answers, it ends as a row that the tables take, or as a bad answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.json_values import read_json
from metrics.collect.probe import Probe
from metrics.collect.row_files import append, read_run
from serverless.functions.messages import AverageAnswer, ClientAnswer, InvokerAnswer
from serverless.invocations.answers import (
    BadAnswer,
    read_aggregator_answer,
    read_client_answer,
    read_invoker_answer,
)
from serverless.invocations.attempt_rows import AttemptRows
from serverless.platforms.openwhisk.activation_records import read_record
from serverless.platforms.protocol import Invocation

MOVED = {"bytes_in": 7, "bytes_out": 8, "work": Probe().report()}
CLIENT = ClientAnswer(num_examples=30, train_loss=0.5, update_sha256=64 * "b", **MOVED).to_dict()
AVERAGE = AverageAnswer(test_accuracy=0.5, test_loss=1.0, weights_sha256=64 * "a", num_examples=30, **MOVED).to_dict()
INVOKER = InvokerAnswer(record={"activationId": "a"}, **MOVED).to_dict()
READERS = (
    (CLIENT, lambda it: read_client_answer(it, 30)),
    (AVERAGE, lambda it: read_aggregator_answer(it, 30, {1, 2})),
    (INVOKER, read_invoker_answer),
)
RECORD = {
    "activationId": "abc",
    "duration": 1500,
    "annotations": [{"key": "waitTime", "value": 5}, {"key": "initTime", "value": 7}],
    "response": {"status": "success", "success": True, "result": CLIENT},
}
HOSTILE = [10**400, -(10**400), 2**63, 2**70, -1, 1e308, float("nan"), float("inf"), "\ud800", "x" * 10**6, True, None]
ANYTHING = st.one_of(
    st.sampled_from(HOSTILE),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
)


def places(value, before=()):
    """Yield the way to each place in a JSON value, itself included."""
    yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in items:
        yield from places(inner, (*before, key))


def put(value, place, new):
    """Return a copy of a JSON value with another one at a place."""
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = put(copy[place[0]], place[1:], new)
    return copy


class Work:
    server_round, client_id, num_examples = 1, 1, 30


def written(folder, invocation, answer=None):
    """Write the row of an attempt, and read it back as a table of Arrow, which is what Parquet holds."""
    made = AttemptRows("run", "openwhisk", "client", 512)
    (folder / "invocations.jsonl").unlink(missing_ok=True)
    kind = invocation.error_kind
    append(folder, made.row(Work, 1, invocation, submitted_at=1.0, client_s=2.0, error_kind=kind, answer=answer))
    return read_run(folder, "invocations").to_pylist()[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rows")


@given(data=st.data())
def test_an_answer_with_anything_anywhere_is_read_or_refused(folder, data):
    answer, read = data.draw(st.sampled_from(READERS))
    place = data.draw(st.sampled_from(list(places(answer))))
    changed = put(answer, place, data.draw(ANYTHING))
    try:
        found = read(changed)
    except BadAnswer as bad:
        str(bad).encode()
        assert len(str(bad)) < 1000
    else:
        written(folder, Invocation(activation_id="a"), found)


@given(data=st.data())
def test_a_record_with_anything_anywhere_gives_a_row_or_is_none(folder, data):
    place = data.draw(st.sampled_from([it for it in places(RECORD) if "result" not in it[:-1]]))
    record = read_record(put(RECORD, place, data.draw(ANYTHING)))
    if record is not None:
        written(folder, record)


@pytest.mark.parametrize("value", HOSTILE[:-2])
@pytest.mark.parametrize("name", ["duration", "activationId"])
def test_a_time_or_a_name_out_of_range_is_not_told(folder, name, value):
    row = written(folder, read_record(RECORD | {name: value}) or Invocation())
    assert row["provider_s"] in (None, 1.5)


@pytest.mark.parametrize("text", ["[" * 200_000, "9" * 5000, '{"a": ' * 100_000, "", b"\xff"])
def test_json_from_outside_ends_in_a_value_error_alone(text):
    with pytest.raises(ValueError):
        read_json(text)


@pytest.mark.parametrize("value", HOSTILE[:4])
@pytest.mark.parametrize("name", ["bytes_in", "num_examples"])
def test_counts_are_what_a_column_takes(name, value):
    with pytest.raises(BadAnswer, match=name):
        read_client_answer(CLIENT | {name: value}, 30)


@pytest.mark.parametrize("name", ["cpu_s", "started_at", "cgroup_cpu_s"])
def test_seconds_are_finite_and_sane(name):
    for value in (10**400, float("nan"), 1e300):
        with pytest.raises(BadAnswer, match=name):
            read_client_answer(json.loads(json.dumps(CLIENT)) | {"work": CLIENT["work"] | {name: value}}, 30)
