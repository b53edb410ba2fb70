from flwr.app import Message, MessageType, RecordDict

from baselines.flower.message_times import postmark
from machine.clocks import now

NODES = {11: 0, 12: 1, 13: 2}


def messages() -> list[Message]:
    return [Message(RecordDict(), dst_node_id=node, message_type=MessageType.TRAIN) for node in NODES]


def test_answers_are_known_by_the_node_and_stamped_in_between(make_grid):
    grid = make_grid(NODES, lambda client, _message: None if client == 1 else RecordDict())
    marks = postmark(grid)

    start = now()
    answers = list(grid.send_and_receive(messages()))
    end = now()

    assert len(answers) == 2
    assert set(marks.replies) == set(marks.arrived_at) == {11, 13}
    assert marks.sent_at is not None
    assert start <= marks.sent_at <= marks.arrived_at[11] <= end
    assert marks.nodes == {message.metadata.message_id: message.metadata.dst_node_id for message in grid.sent}


def test_nothing_sent_is_not_a_fan_out(make_grid):
    """Flower sends an empty batch for the evaluation by clients, which this project does not do."""
    grid = make_grid(NODES, lambda *_: RecordDict())
    marks = postmark(grid)
    grid.send_and_receive(messages())
    sent_at, replies = marks.sent_at, dict(marks.replies)

    grid.send_and_receive([])

    assert (marks.sent_at, marks.replies) == (sent_at, replies)


def test_another_fan_out_begins_empty(make_grid):
    grid = make_grid(NODES, lambda *_: RecordDict())
    marks = postmark(grid)
    grid.send_and_receive(messages())

    marks.clear()

    assert (marks.sent_at, marks.nodes, marks.arrived_at, marks.replies) == (None, {}, {}, {})
