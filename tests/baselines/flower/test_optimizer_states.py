"""Optimizer states that nodes keep: handed over for a checkpoint, and back to the nodes of a resumed run."""

from collections import defaultdict

import numpy as np
import pytest
from flwr.app import Context, Error, RecordDict

from baselines.flower.client_app import PARTITION, query
from baselines.flower.messages import METRICS, OPTIMIZER, to_record, to_weights
from baselines.flower.optimizer_states import fetch_states, give_states
from task.engines.optimizers import state_like
from task.job import FederatedJob
from task.weights import dumps, loads

NODES = {client: 1000 - 7 * client for client in range(4)}
STATES = {
    client: {name: np.full(array.shape, client, np.float32) for name, array in state_like("mlp50", "adam").items()}
    for client in (1, 3)
}


class Nodes:
    """Nodes whose only work is to answer queries."""

    def __init__(self):
        self.contexts = defaultdict(RecordDict)

    def context(self, client):
        return Context(
            run_id=1, node_id=NODES[client], node_config={PARTITION: client}, state=self.contexts[client], run_config={}
        )

    def __call__(self, client, message):
        return query(message, self.context(client)).content


@pytest.fixture
def ask(make_grid, make_plan):
    """Call a function of the module with a grid of these nodes."""

    def call(function, handler, *arguments):
        grid = make_grid({node: client for client, node in NODES.items()}, handler)
        grid.arrival = lambda replies: replies[::-1]
        return function(grid, *arguments, make_plan(FederatedJob(model="mlp50", optimizer_state="keep")))

    return call


def test_states_come_back_to_the_clients_that_they_are_of(ask):
    before, after = Nodes(), Nodes()
    for client, state in STATES.items():
        before.contexts[client][OPTIMIZER] = to_record(state)
    kept = ask(fetch_states, before, {client: NODES[client] for client in STATES})
    ask(give_states, after, kept, NODES)
    found = {client: to_weights(state.array_records[OPTIMIZER]) for client, state in after.contexts.items()}
    assert {client: dumps(state) for client, state in found.items()} == kept
    for client, state in STATES.items():
        assert {name: array.tolist() for name, array in loads(kept[client]).items()} == {
            name: array.tolist() for name, array in state.items()
        }
        assert found[client]["step"].shape == ()


def test_a_question_for_the_partition_moves_no_state(make_grid, ask):
    nodes = Nodes()
    nodes.contexts[2][OPTIMIZER] = to_record(STATES[1])

    def ask_for_the_partition(grid, plan):
        from flwr.app import Message, MessageType

        message = Message(RecordDict(), dst_node_id=NODES[2], message_type=MessageType.QUERY)
        return list(grid.send_and_receive([message]))

    (reply,) = ask(ask_for_the_partition, nodes)
    assert reply.content.metric_records[METRICS][PARTITION] == 2
    assert not reply.content.array_records


@pytest.mark.parametrize(
    ("answer", "told"),
    [(None, "flower.round_timeout_s=60"), (Error(code=0, reason="the worker died"), "the worker died")],
    ids=["silence", "dead worker"],
)
def test_a_client_that_does_not_hand_over_its_state_is_told(ask, answer, told):
    nodes = Nodes()
    nodes.contexts[1][OPTIMIZER] = to_record(STATES[1])

    def handler(client, message):
        return nodes(client, message) if client == 1 else answer

    with pytest.raises(RuntimeError, match=rf"clients \[3\] did not.*{told}"):
        ask(fetch_states, handler, {client: NODES[client] for client in STATES})
