"""The ServerApp: waits for the federation, then runs the rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from flwr.app import Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

from baselines.flower.client_app import PARTITION
from baselines.flower.failures import told
from baselines.flower.messages import METRICS
from baselines.flower.optimizer_states import give_states
from baselines.flower.plan import ERROR, FINAL_WEIGHTS, SERVING, Plan, plan_of
from baselines.flower.strategy import OrderedFedAvg
from baselines.resume_point import rounds_left, start_of
from machine.files import write_whole
from metrics.collect.recorder import Recorder
from task.data import load_images
from task.engines.engine import engine_name, load_engine
from task.partition import make_partition
from task.weights import dumps

_POLL_S = 0.1

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job; the outcome is left as a file in the run's folder, where the adapter waits for it."""
    plan = plan_of(context)
    plan.directory.mkdir(parents=True, exist_ok=True)
    _leave(plan, SERVING, str(os.getpid()).encode())
    try:
        _serve(grid, plan)
    except BaseException as error:
        _leave(plan, ERROR, told(error).encode(errors="backslashreplace"))
        raise
    finally:
        (plan.directory / SERVING).unlink()


def _serve(grid: Grid, plan: Plan) -> None:
    recorder = Recorder(plan.run_id, plan.directory, plan.watcher, plan.part)
    with recorder.setup("import the model's engine on the server"):
        load_engine(engine_name(plan.job.model))
    with recorder.setup("load the test images"):
        dataset = load_images(plan.job.data_set, plan.data)
    with recorder.setup("wait for the Flower nodes"):
        node_ids = _wait_for_nodes(grid, plan)
    with recorder.setup("start the nodes' workers and ask for their partitions"):
        nodes = _ask_for_partitions(grid, node_ids, plan)
    point = recorder.resume_point()
    weights, state, states = start_of(plan.job, point)
    if states:
        with recorder.setup("give the nodes the states that they had"):
            give_states(grid, states, nodes, plan)
    num_examples = tuple(map(len, make_partition(plan.job, dataset.train_labels).indices))
    strategy = OrderedFedAvg(plan, nodes, dataset, num_examples, recorder)
    weights = strategy.learn(grid, weights, rounds_left(plan.job, point), state)
    _leave(plan, FINAL_WEIGHTS, dumps(weights))


def _wait_for_nodes(grid: Grid, plan: Plan) -> list[int]:
    deadline = time.monotonic() + plan.startup_timeout_s
    while len(node_ids := list(grid.get_node_ids())) < plan.job.clients:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{len(node_ids)} of {plan.job.clients} nodes are connected after flower.startup_timeout_s="
                f"{plan.startup_timeout_s:g}: the federation needs one node per client"
            )
        time.sleep(_POLL_S)
    return node_ids


def _ask_for_partitions(grid: Grid, node_ids: Iterable[int], plan: Plan) -> dict[int, int]:
    """Return client id -> node: Flower draws node ids at random, and only a node knows which partition it has."""
    questions = [Message(RecordDict(), dst_node_id=node_id, message_type=MessageType.QUERY) for node_id in node_ids]
    answers = grid.send_and_receive(questions, timeout=plan.startup_timeout_s)
    return match(((answer.metadata.src_node_id, _partition(answer)) for answer in answers), plan.job.clients)


def _partition(answer: Message) -> int:
    if answer.has_error():
        raise RuntimeError(f"a node cannot say which partition it holds: {answer.error.reason}")
    return int(answer.content.metric_records[METRICS][PARTITION])  # type: ignore[arg-type]


def match(partitions: Iterable[tuple[int, int]], clients: int) -> dict[int, int]:
    """Return client id -> node id, in ascending client order.

    Parameters
    ----------
    partitions
        Pairs (node id, partition id), in any order.

    Raises
    ------
    RuntimeError
        If a partition has no node, two nodes, or is not a client's.
    """
    pairs = list(partitions)
    nodes = {partition: node for node, partition in pairs}
    if len(nodes) != len(pairs) or set(nodes) != set(range(clients)):
        held = ", ".join(str(partition) for partition in sorted(partition for _, partition in pairs))
        raise RuntimeError(
            f"the nodes hold the partitions [{held}], but each of 0 to {clients - 1} must be held by exactly one node; "
            f"start {clients} nodes, each with its own partition-id"
        )
    return {client: nodes[client] for client in range(clients)}


def _leave(plan: Plan, name: str, content: bytes) -> None:
    """Leave a file for the adapter, which looks for it while it is written and only while this machine runs."""
    write_whole(plan.directory / name, content, durable=False)
