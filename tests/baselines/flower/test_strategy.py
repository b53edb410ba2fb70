from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Error

from baselines.flower import round as federated_round
from baselines.flower import strategy
from baselines.flower.messages import failure, success, to_record, to_weights
from baselines.flower.round import ClientFailed
from baselines.flower.strategy import OrderedFedAvg
from metrics.collect.phases import PHASES
from metrics.collect.probe import Probe
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from task.aggregation import Aggregation
from task.evaluation import Evaluation
from task.job import FederatedJob, StrategySpec
from task.selection import select_clients
from task.strategies.fedavg import StreamingAverage
from task.weights import Stamp

JOB = FederatedJob(clients=6, clients_per_round=3, rounds=4, seed=3)
NODES = {client: 1000 - 7 * client for client in range(JOB.clients)}
NUM_EXAMPLES = tuple(100 * (client + 1) for client in range(JOB.clients))
START = {"w": np.array([0.1, -0.2], np.float32), "b": np.float32(0.3).reshape(())}


def trained(client, message):
    """Each client adds another number to the weights it got, and has another number of examples."""
    probe = Probe()
    with probe.phase("train"):
        weights = to_weights(message.content.array_records["arrays"])
        weights = {name: array + np.float32(0.1) * (client + 1) for name, array in weights.items()}
    server_round = message.content.config_records["config"]["server-round"]
    return success(to_record(weights), Stamp(server_round, client, 1, NUM_EXAMPLES[client]), 0.5, probe.report())


@pytest.fixture
def learn(make_grid, make_plan, no_images, tmp_path, monkeypatch):
    """Run the strategy on a federation in memory; evaluation says 0.1 times the round's number."""
    monkeypatch.setattr(strategy, "evaluate", lambda *_: Evaluation(0.1 * len(recorder.rounds) + 0.1, 1.0))
    recorder = Recorder("run-1", tmp_path)

    def run(job=JOB, handler=trained, arrival=list):
        grid = make_grid({node: client for client, node in NODES.items()}, handler)
        grid.arrival = arrival
        weights = OrderedFedAvg(make_plan(job), NODES, no_images, NUM_EXAMPLES, recorder).learn(
            grid, START, job.rounds_after()
        )
        return weights, grid, recorder

    return run


def by_hand(rounds):
    weights = START
    for server_round in range(1, rounds + 1):
        total = StreamingAverage()
        for client in select_clients(JOB, server_round):
            update = {name: array + np.float32(0.1) * (client + 1) for name, array in weights.items()}
            total.add(update, 100 * (client + 1))
        weights = total.result()
    return weights


def bits(weights):
    return {name: array.tobytes() for name, array in weights.items()}


@pytest.mark.parametrize("arrival", [list, lambda replies: replies[::-1]], ids=["in order", "last first"])
def test_rounds_are_the_loop_of_the_paper_whoever_answers_first(learn, arrival):
    weights, _, recorder = learn(arrival=arrival)

    assert bits(weights) == bits(by_hand(rounds=4))
    assert [row.server_round for row in recorder.rounds] == [1, 2, 3, 4]


def test_updates_are_added_in_ascending_client_order(learn, monkeypatch):
    """Sums in float64 depend on the order if the values differ enough; nothing else may."""
    added = []

    class Spy(Aggregation):
        def add(self, update, num_examples):
            added.append(num_examples // 100 - 1)
            super().add(update, num_examples)

    monkeypatch.setattr(federated_round, "Aggregation", Spy)
    learn(arrival=lambda replies: replies[::-1])

    assert added == [client for server_round in range(1, 5) for client in select_clients(JOB, server_round)]


def test_each_selected_client_and_nobody_else_gets_the_message(learn):
    _, grid, _ = learn()

    sent = [
        (message.content.config_records["config"]["server-round"], message.metadata.dst_node_id)
        for message in grid.sent
    ]
    assert [node for _, node in sent] == [
        NODES[client] for server_round in range(1, 5) for client in select_clients(JOB, server_round)
    ]


def test_the_run_ends_when_the_target_is_reached(learn):
    job = FederatedJob(**{**JOB.__dict__, "target_accuracy": 0.15})

    weights, _, recorder = learn(job)

    assert len(recorder.rounds) == 2
    assert bits(weights) == bits(by_hand(rounds=2))


def test_every_client_and_the_server_have_a_row(learn, tmp_path):
    _, grid, _ = learn()

    rows = read_run(tmp_path, "invocations").to_pylist()
    first = [row for row in rows if row["server_round"] == 1]
    assert [row["client_id"] for row in first] == [*select_clients(JOB, 1), None]
    assert [row["function"] for row in first] == ["client"] * 3 + ["aggregator"]
    client = first[0]
    assert client["num_examples"] == 100 * (client["client_id"] + 1)
    assert client["activation_id"] == grid.sent[0].metadata.message_id
    assert client["bytes_in"] == client["bytes_out"] > 0
    assert 0 <= client["train_s"] <= client["function_s"] <= client["client_s"]
    assert first[-1]["aggregate_s"] > 0


def test_the_phases_of_a_round_add_up_to_its_time(learn):
    _, _, recorder = learn()

    for row in recorder.rounds:
        parts = sum(getattr(row, f"{phase}_s") for phase in PHASES) + row.unattributed_s
        assert parts == pytest.approx(row.round_s)
        assert row.train_s > 0
        assert (row.updates, row.attempts, row.failures) == (3, 4, 0)


def test_one_failed_client_ends_the_run_with_its_traceback_and_leaves_its_row(learn, tmp_path):
    victim = select_clients(JOB, 2)[1]

    def handler(client, message):
        if client == victim and message.content.config_records["config"]["server-round"] == 2:
            return failure("ZeroDivisionError", "Traceback of the client", Probe().report())
        return trained(client, message)

    with pytest.raises(ClientFailed, match=rf"1 of 3 clients failed in round 2.*client {victim}.*(\n.*)*of the client"):
        learn(handler=handler)

    assert [row["server_round"] for row in read_run(tmp_path, "rounds").to_pylist()] == [1]
    (failed,) = [row for row in read_run(tmp_path, "invocations").to_pylist() if row["status"] == "failed"]
    assert (failed["client_id"], failed["error_kind"], failed["server_round"]) == (victim, "ZeroDivisionError", 2)
    assert failed["cpu_s"] is not None


@pytest.mark.parametrize(
    ("answer", "told"),
    [(None, "flower.round_timeout_s=60"), (Error(code=0, reason="the worker died"), "the worker died")],
    ids=["silence", "dead worker"],
)
def test_a_client_that_does_not_answer_ends_the_run(learn, answer, told):
    silent = select_clients(JOB, 1)[-1]

    with pytest.raises(ClientFailed, match=told):
        learn(handler=lambda client, message: answer if client == silent else trained(client, message))


def test_an_answer_of_the_round_before_does_not_count_for_a_client_that_is_silent_now(learn):
    everybody = FederatedJob(**{**JOB.__dict__, "clients_per_round": JOB.clients})

    def handler(client, message):
        server_round = message.content.config_records["config"]["server-round"]
        return None if (client, server_round) == (4, 2) else trained(client, message)

    with pytest.raises(ClientFailed, match=r"1 of 6 clients failed in round 2.*client 4, timeout"):
        learn(everybody, handler)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda weights: {**weights, "w": weights["w"] + np.float32(3e38)}, "its norm is .* max_update_norm=1000"),
        (lambda weights: {**weights, "w": weights["w"] * np.float32("nan")}, "w holds a value that is not finite"),
        (lambda weights: {**weights, "w": weights["w"][:1]}, r"w is float32\[1\], expected float32\[2\]"),
    ],
)
def test_an_update_that_must_not_enter_ends_the_run_and_has_a_failed_row(learn, tmp_path, spoil, told):
    """Flower has no second attempt, and an average without the client would be another learning task."""
    victim = select_clients(JOB, 2)[1]

    def handler(client, message):
        content = trained(client, message)
        if client == victim and message.content.config_records["config"]["server-round"] == 2:
            content["arrays"] = to_record(spoil(to_weights(content.array_records["arrays"])))
        return content

    with pytest.raises(ClientFailed, match=rf"client {victim}, corrupt update:\n.*{told}"):
        learn(handler=handler)

    (failed,) = [row for row in read_run(tmp_path, "invocations").to_pylist() if row["status"] == "failed"]
    assert (failed["client_id"], failed["error_kind"], failed["server_round"]) == (victim, "corrupt update", 2)


def test_the_strategy_of_the_job_makes_the_average(learn):
    job = replace(JOB, strategy=StrategySpec("median"), rounds=1)
    weights, _, _ = learn(job)
    middle = select_clients(JOB, 1)[1]
    expected = {name: array + np.float32(0.1) * (middle + 1) for name, array in START.items()}
    assert bits(weights) == bits(expected)
