"""When messages leave the server and when their answers arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from flwr.app import Message
from flwr.serverapp import Grid

from machine.clocks import now


@dataclass
class Postmarks:
    """The messages of one fan-out, in seconds since the epoch by the server's clock.

    Parameters
    ----------
    sent_at
        When the last message had been pushed; ``None`` before that.
    nodes
        Message id -> node that it was sent to.
    arrived_at
        Node -> when its answer was pulled.
    """

    sent_at: float | None = None
    nodes: dict[str, int] = field(default_factory=dict)
    arrived_at: dict[int, float] = field(default_factory=dict)
    replies: dict[int, Message] = field(default_factory=dict)

    def clear(self) -> None:
        """Begin another fan-out."""
        self.sent_at = None
        for kept in (self.nodes, self.arrived_at, self.replies):
            kept.clear()


def postmark(grid: Grid) -> Postmarks:
    """Record the messages that pass through ``grid`` from now on.

    Flower's own ``send_and_receive``, with its polling, stays. It calls the two methods that are replaced here;
    a wrapper around ``grid`` would not see these calls.
    """
    marks = Postmarks()
    push, pull = grid.push_messages, grid.pull_messages

    def push_messages(messages: Iterable[Message]) -> Iterable[str]:
        batch = list(messages)
        ids = list(push(batch))
        if batch:
            marks.sent_at = now()
            marks.nodes.update(zip(ids, (message.metadata.dst_node_id for message in batch), strict=True))
        return ids

    def pull_messages(message_ids: Iterable[str]) -> Iterable[Message]:
        replies = list(pull(message_ids))
        arrived_at = now()
        for reply in replies:
            node = marks.nodes[reply.metadata.reply_to_message_id]
            marks.arrived_at[node] = arrived_at
            marks.replies[node] = reply
        return replies

    grid.push_messages = push_messages  # type: ignore[method-assign]
    grid.pull_messages = pull_messages  # type: ignore[method-assign]
    return marks
