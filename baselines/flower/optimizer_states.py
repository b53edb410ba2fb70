"""How the states that nodes keep, of optimizer and strategy, get into a checkpoint, and back in a resumed run.

They are sent as Flower's query messages between rounds, while no clock runs: the messages of a round, and their cost,
are those of a run without checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from baselines.flower.messages import OPTIMIZER, WANTED, to_record, to_weights
from baselines.flower.plan import Plan
from task.states import client_state_like
from task.weights import dumps, loads


def fetch_states(grid: Grid, nodes: Mapping[int, int], plan: Plan) -> dict[int, bytes]:
    """Ask clients for the optimizer states that they keep.

    Parameters
    ----------
    nodes
        Client id -> node.

    Returns
    -------
    dict
        Client id -> its state as safetensors.

    Raises
    ------
    RuntimeError
        If a client does not answer in time, or has none.
    CorruptWeights
        If a state is not one of the job.
    """
    like = client_state_like(plan.job)
    wanted = RecordDict({WANTED: ConfigRecord({OPTIMIZER: True})})
    answers = _ask(grid, dict.fromkeys(nodes, wanted), nodes, plan)
    return {
        client: dumps(to_weights(answer.content.array_records[OPTIMIZER], like)) for client, answer in answers.items()
    }


def give_states(grid: Grid, states: Mapping[int, bytes], nodes: Mapping[int, int], plan: Plan) -> None:
    """Hand clients the optimizer states that they had before the run was cut off.

    Raises
    ------
    RuntimeError
        If a client does not answer in time.
    """
    contents = {client: RecordDict({OPTIMIZER: to_record(loads(state))}) for client, state in states.items()}
    _ask(grid, contents, nodes, plan)


def _ask(grid: Grid, contents: Mapping[int, RecordDict], nodes: Mapping[int, int], plan: Plan) -> dict[int, Message]:
    """Send each client its query, and return the answers by client."""
    clients = {nodes[client]: client for client in contents}
    queries = [
        Message(content, dst_node_id=nodes[client], message_type=MessageType.QUERY)
        for client, content in contents.items()
    ]
    replies = list(grid.send_and_receive(queries, timeout=plan.round_timeout_s)) if queries else []
    failed = [reply.error.reason for reply in replies if reply.has_error()]
    answers = {clients[reply.metadata.src_node_id]: reply for reply in replies if not reply.has_error()}
    if len(answers) < len(clients):
        silent = sorted(set(clients.values()) - answers.keys())
        raise RuntimeError(
            f"the clients {silent} did not hand over or take their optimizer states"
            + (f": {failed[0]}" if failed else f" within flower.round_timeout_s={plan.round_timeout_s:g} seconds")
        )
    return answers
