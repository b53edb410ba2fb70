"""One round, from its selection to its rows: who takes part, what came back, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, RecordDict

from baselines.flower.message_times import Postmarks
from baselines.flower.messages import (
    ARRAYS,
    CONFIG,
    SERVER_ROUND,
    SHARED,
    Answer,
    read_answer,
    size_bytes,
    to_record,
    to_weights,
)
from baselines.flower.plan import Plan
from machine.clocks import now
from metrics.collect.phases import RoundClock
from metrics.collect.row_types import CORRUPT_UPDATE, InvocationRow
from metrics.collect.rows import with_work
from task.aggregation import Aggregation
from task.selection import select_clients
from task.strategies import STRATEGIES
from task.weights import CorruptWeights, Stamp, Weights


class ClientFailed(RuntimeError):  # noqa: N818 - reads as the fact that it states
    """A client of the round has not delivered its update."""


@dataclass
class Round:
    """A round in progress, and its clock.

    Parameters
    ----------
    plan
        The run.
    server_round
        1-based number of the round.
    nodes
        Client id -> node that has this client's partition.
    marks
        The messages of the round and their times.
    num_examples
        Of each client, by its id: an update must stand for exactly these.
    """

    plan: Plan
    server_round: int
    nodes: Mapping[int, int]
    marks: Postmarks
    num_examples: tuple[int, ...]
    clock: RoundClock = field(default_factory=RoundClock)
    answers: list[Answer] = field(default_factory=list)

    def open(self, arrays: ArrayRecord, config: ConfigRecord, state: Weights | None) -> list[Message]:
        """Select the clients, and address a message to each, in ascending order.

        It has the global weights and, if the job's strategy shares it, its state.
        """
        with self.clock.phase("select"):
            self.clients = select_clients(self.plan.job, self.server_round)
        with self.clock.phase("publish"):
            config[SERVER_ROUND] = self.server_round
            sent = {ARRAYS: arrays}
            if state and STRATEGIES[self.plan.job.strategy.name].shares_state:
                sent[SHARED] = to_record(state)
            content = RecordDict({**sent, CONFIG: config})
            messages = [
                Message(content, dst_node_id=self.nodes[client], message_type=MessageType.TRAIN)
                for client in self.clients
            ]
        self.bytes_in = sum(map(size_bytes, sent.values()))
        self.marks.clear()
        self.fan_out_at = now()
        return messages

    def collect(self) -> None:
        """Take the answers in ascending client order, and divide the time since the messages left."""
        answered_at = now()
        timeout_s = self.plan.round_timeout_s
        self.answers = [
            self._by_our_clock(read_answer(self._stamp(client), self.marks.replies.get(self.nodes[client]), timeout_s))
            for client in self.clients
        ]
        works = [answer.work for answer in self.answers if answer.work]
        self.clock.add_fan_out(self.fan_out_at, answered_at, works, sent_at=self.marks.sent_at or answered_at)

    def _by_our_clock(self, answer: Answer) -> Answer:
        arrived_at = self.marks.arrived_at.get(self.nodes[answer.client_id])
        if answer.work is None or arrived_at is None:
            return answer
        return replace(answer, work=answer.work.by_our_clock(self.fan_out_at, arrived_at))

    def _stamp(self, client: int) -> Stamp:
        return Stamp(self.server_round, client, 1, self.num_examples[client])

    def aggregate(self, weights: Weights, state: Weights | None) -> Aggregation:
        """Take the updates in ascending client order, whoever answered first; one that must not enter has failed."""
        aggregation = Aggregation(self.plan.job, weights, state)
        for index, answer in enumerate(self.answers):
            if answer.arrays is None or answer.num_examples is None:
                continue
            try:
                aggregation.add(to_weights(answer.arrays, weights), answer.num_examples)
            except CorruptWeights as error:
                self.answers[index] = replace(answer, error_kind=CORRUPT_UPDATE, error=str(error))
        return aggregation

    def refuse_failures(self) -> None:
        """End the run at a failed client: an average without it would be another learning task.

        Raises
        ------
        ClientFailed
            With the first failed client's traceback.
        """
        failed = [answer for answer in self.answers if answer.error_kind]
        if failed:
            first = failed[0]
            raise ClientFailed(
                f"{len(failed)} of {len(self.answers)} clients failed in round {self.server_round}; the first is "
                f"client {first.client_id}, {first.error_kind}:\n{first.error}"
            )

    def invocations(self) -> list[InvocationRow]:
        """Return a row per client, also of those that failed."""
        messages = {node: message_id for message_id, node in self.marks.nodes.items()}
        return [self._invocation(answer, messages.get(self.nodes[answer.client_id])) for answer in self.answers]

    def _invocation(self, answer: Answer, message_id: str | None) -> InvocationRow:
        arrived_at = self.marks.arrived_at.get(self.nodes[answer.client_id])
        row = InvocationRow(
            submitted_at=self.fan_out_at,
            run_id=self.plan.run_id,
            server_round=self.server_round,
            function="client",
            client_id=answer.client_id,
            attempt=1,
            activation_id=message_id,
            status="failed" if answer.error_kind else "success",
            error_kind=answer.error_kind,
            client_s=None if arrived_at is None else arrived_at - self.fan_out_at,
            bytes_in=self.bytes_in,
            bytes_out=size_bytes(answer.arrays) if answer.arrays is not None else None,
            num_examples=answer.num_examples,
            train_loss=answer.train_loss,
        )
        return with_work(row, answer.work)
