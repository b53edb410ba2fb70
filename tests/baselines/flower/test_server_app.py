import pytest
from flwr.app import ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from baselines.flower import client_app, server_app
from baselines.flower.server_app import match
from task.job import FederatedJob

JOB = FederatedJob(clients=4, clients_per_round=2)
NODES = {77: 2, 5: 0, 2**63 + 1: 3, 12: 1}


def says(partition: int) -> RecordDict:
    return RecordDict({"metrics": MetricRecord({"partition-id": partition})})


@given(st.integers(1, 30).flatmap(lambda clients: st.permutations(range(clients))), st.randoms())
def test_client_k_is_the_node_that_holds_partition_k(partitions, random):
    nodes = random.sample(range(2**60), len(partitions))

    found = match(zip(nodes, partitions, strict=True), len(partitions))

    assert list(found) == list(range(len(partitions)))
    assert all(nodes[partitions.index(client)] == node for client, node in found.items())


@pytest.mark.parametrize(
    "partitions", [[0, 1], [0, 1, 1], [0, 1, 3], [0, 1, 2, 2]], ids=["missing", "twice", "unknown", "one too many"]
)
def test_partitions_that_are_not_held_exactly_once_are_refused(partitions):
    with pytest.raises(RuntimeError, match=r"each of 0 to 2 must be held by exactly one node"):
        match(enumerate(partitions), clients=3)


def test_every_node_is_asked(make_grid, make_plan):
    grid = make_grid(NODES, lambda client, _message: says(client))

    found = server_app._ask_for_partitions(grid, grid.get_node_ids(), make_plan(JOB))

    assert found == {0: 5, 1: 12, 2: 77, 3: 2**63 + 1}


def test_a_node_that_cannot_answer_is_an_error_with_its_reason(make_grid, make_plan):
    grid = make_grid(NODES, lambda client, _message: Error(0, "no such app") if client == 1 else says(client))

    with pytest.raises(RuntimeError, match="no such app"):
        server_app._ask_for_partitions(grid, grid.get_node_ids(), make_plan(JOB))


def test_nodes_that_never_connect_are_an_error_that_counts_them(make_grid, make_plan):
    grid = make_grid({1: 0, 2: 1}, lambda *_: None)

    with pytest.raises(TimeoutError, match=r"2 of 4 nodes .*flower.startup_timeout_s=0.3"):
        server_app._wait_for_nodes(grid, make_plan(JOB))


def test_a_node_says_which_partition_it_holds():
    context = Context(run_id=1, node_id=9, node_config={"partition-id": 3}, state=RecordDict(), run_config={})
    question = Message(RecordDict({"c": ConfigRecord()}), dst_node_id=9, message_type="query")
    question.metadata.__dict__["_message_id"] = "q"

    answer = client_app.app(message=question, context=context)

    assert answer.content.metric_records["metrics"]["partition-id"] == 3
