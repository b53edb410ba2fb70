"""Server optimizers: rounds are those that Flower's own strategies of the same names make of the same updates."""

import numpy as np
import pytest
from flwr.app import Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvgM, FedYogi

from baselines.flower.messages import to_record
from task.aggregation import Aggregation
from task.states import server_state_like
from tests.support.server_optimizers import ADAPTIVE, JOBS, START, near

FLOWERS = {
    "fedavgm": lambda: FedAvgM(server_learning_rate=0.7, server_momentum=0.9),
    "fedadam": lambda: FedAdam(**ADAPTIVE),
    "fedyogi": lambda: FedYogi(**ADAPTIVE),
}


def wide(weights):
    """The same values in float64, so that Flower's strategies compute in it as ours do."""
    return to_record({name: array.astype(np.float64) for name, array in weights.items()})


def replies(updates):
    """The messages by which Flower's clients would send these updates."""
    for update, num_examples in updates:
        asked = Message(RecordDict(), dst_node_id=1, message_type=MessageType.TRAIN)
        metrics = MetricRecord({"num-examples": num_examples})
        yield Message(RecordDict({"arrays": wide(update), "metrics": metrics}), reply_to=asked)


@pytest.mark.parametrize("name", JOBS)
def test_rounds_are_those_of_flowers_own_strategy(name):
    weights, state, flower = START, None, FLOWERS[name]()
    for server_round in range(1, 7):
        updates = [(near(weights, 10 * server_round + client), 100 * (client + 1)) for client in range(3)]
        start = wide(weights)
        flower.current_arrays = start if name == "fedavgm" else {key: array.numpy() for key, array in start.items()}
        theirs, _ = flower.aggregate_train(server_round, list(replies(updates)))
        aggregation = Aggregation(JOBS[name], weights, state)
        for update, num_examples in updates:
            aggregation.add(update, num_examples)
        before, weights, state = weights, aggregation.result(), aggregation.state
        for key, array in weights.items():
            assert array.dtype == np.float32
            np.testing.assert_allclose(array, theirs[key].numpy(), rtol=0, atol=1e-6, err_msg=key)
        assert max(float(np.abs(weights[key] - before[key]).max()) for key in weights) > 1e-2
    assert {key: array.shape for key, array in state.items()} == {
        key: array.shape for key, array in server_state_like(JOBS[name]).items()
    }
    assert state["step"] == 6
