"""A federation without Flower's processes: a grid in memory whose nodes answer at once."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from baselines.flower.plan import Plan
from task.data import DataSettings, Images
from task.job import FederatedJob

Handler = Callable[[int, Message], RecordDict | Error | None]


class InstantGrid(Grid):
    """Answers in the order that ``arrival`` gives; a node that answers ``None`` never does.

    Parameters
    ----------
    nodes
        Node id -> client id.
    handler
        What a client makes of a message.
    """

    def __init__(self, nodes: dict[int, int], handler: Handler) -> None:
        self.nodes, self.handler = nodes, handler
        self.arrival: Callable[[list[Message]], list[Message]] = list
        self.sent: list[Message] = []
        self._replies: dict[str, Message] = {}

    run: Any = None

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = message_id = str(uuid4())
            ids.append(message_id)
            self.sent.append(message)
            content = self.handler(self.nodes[message.metadata.dst_node_id], message)
            if content is not None:
                self._replies[message_id] = Message(content, reply_to=message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self.arrival([self._replies.pop(known) for known in message_ids if known in self._replies])

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        ids = self.push_messages(messages)
        return list(self.pull_messages(ids))


@pytest.fixture(scope="session", autouse=True)
def identity() -> None:
    """Flower tells a process which task it is before it may make messages."""
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1


@pytest.fixture
def make_grid() -> Callable[[dict[int, int], Handler], InstantGrid]:
    return InstantGrid


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[[FederatedJob], Plan]:
    def make(job: FederatedJob) -> Plan:
        data = DataSettings(tmp_path / "cache")
        return Plan(job, data, "run-1", tmp_path, None, startup_timeout_s=0.3, round_timeout_s=60)

    return make


@pytest.fixture
def no_images() -> Images:
    """For what passes the images on without a look."""
    images, labels = np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    return Images(images, labels, images, labels, sha256="0" * 64, source="nowhere")
