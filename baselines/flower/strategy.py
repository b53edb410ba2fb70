"""FedAvg as Flower runs it, with this project's selection, averaging and evaluation, and a clock on every step.

The loop is Flower's own (:meth:`flwr.serverapp.strategy.Strategy.start`): configure, send and receive, aggregate,
evaluate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from baselines.flower.plan import Plan
from baselines.flower.post import postmark
from baselines.flower.records import (
    ARRAYS,
    CONFIG,
    NUM_EXAMPLES,
    SERVER_ROUND,
    Answer,
    read_answer,
    size_bytes,
    to_record,
    to_weights,
)
from baselines.flower.rows import invocation_row, round_row
from metrics.clocks import now
from metrics.phases import RoundClock
from metrics.probe import Probe
from metrics.recorder import Recorder
from metrics.tables import InvocationRow, append
from task.aggregation import StreamingAverage
from task.data import Mnist
from task.evaluation import evaluate
from task.selection import select_clients
from task.weights import Weights, sha256


class ClientFailed(RuntimeError):  # noqa: N818 - reads as the fact that it states
    """A client of the round has not delivered its update."""


class TargetReached(Exception):  # noqa: N818 - not an error: Flower's loop has no other way to end early
    """The global model is as good as the job asks."""


class RoundAveraging(FedAvg):
    """Federated averaging whose clients, order and arithmetic are the task's.

    Parameters
    ----------
    plan
        The run.
    nodes
        Client id -> node that holds this client's partition.
    mnist
        The test images.
    recorder
        Gets a row per round and client.
    """

    def __init__(self, plan: Plan, nodes: Mapping[int, int], mnist: Mnist, recorder: Recorder) -> None:
        super().__init__(fraction_evaluate=0.0, weighted_by_key=NUM_EXAMPLES, arrayrecord_key=ARRAYS)
        self._plan, self._nodes, self._mnist, self._recorder = plan, dict(nodes), mnist, recorder
        self.weights: Weights = {}

    def learn(self, grid: Grid, weights: Weights) -> Weights:
        """Run the job's rounds from ``weights`` on, and return the last global weights.

        Raises
        ------
        ClientFailed
            If a client failed or did not answer in time; its message holds the remote traceback.
        """
        self._marks = postmark(grid)
        self.weights = weights
        with contextlib.suppress(TargetReached):
            self.start(
                grid,
                to_record(weights),
                num_rounds=self._plan.job.rounds,
                timeout=self._plan.round_timeout_s,
                evaluate_fn=self._evaluate,
            )
        return self.weights

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Address a message with the global weights to each client of the round."""
        self._clock = RoundClock()
        self._marks.clear()
        with self._clock.phase("select"):
            self._clients = select_clients(self._plan.job, server_round)
        with self._clock.phase("publish"):
            config[SERVER_ROUND] = server_round
            content = RecordDict({ARRAYS: arrays, CONFIG: config})
            messages = [
                Message(content, dst_node_id=self._nodes[client], message_type=MessageType.TRAIN)
                for client in self._clients
            ]
        self._bytes_in = size_bytes(arrays)
        self._fan_out_at = now()
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average the updates in ascending client order, whoever answered first."""
        answered_at = now()
        self._answers = [read_answer(client, self._marks.replies.get(self._nodes[client])) for client in self._clients]
        self._clock.add_fan_out(
            self._fan_out_at,
            answered_at,
            [answer.work for answer in self._answers if answer.work],
            sent_at=self._marks.sent_at or answered_at,
        )
        self._refuse_failures(server_round)
        self._server = Probe()
        with self._clock.phase("aggregate"):
            self.weights, num_examples = _average(self._answers)
        with self._clock.phase("publish"):
            arrays = to_record(self.weights)
        return arrays, MetricRecord({NUM_EXAMPLES: num_examples})

    def _evaluate(self, server_round: int, _arrays: ArrayRecord) -> MetricRecord | None:
        """Evaluate the global model, and close the round; Flower calls it for the initial weights as round 0."""
        if server_round == 0:
            return None
        with self._clock.phase("evaluate"):
            test = self._mnist.test_images, self._mnist.test_labels
            evaluation = evaluate(self._plan.job.model, self.weights, *test)
        times = self._clock.close()
        row = round_row(
            self._recorder.run_id,
            server_round,
            self._answers,
            evaluation,
            started_at=self._clock.started_at,
            weights_sha256=sha256(self.weights),
            server_cpu_s=self._server.report().cpu_s,
            times=times,
        )
        self._recorder.round(row, self._invocations(server_round))
        if self._plan.job.reached(evaluation.test_accuracy):
            raise TargetReached
        return MetricRecord({"accuracy": evaluation.test_accuracy, "loss": evaluation.test_loss})

    def _refuse_failures(self, server_round: int) -> None:
        """End the run at a failed client: an average without it would be another learning task."""
        failed = [answer for answer in self._answers if answer.error_kind]
        if failed:
            append(self._recorder.directory, *self._invocations(server_round))
            first = failed[0]
            raise ClientFailed(
                f"{len(failed)} of {len(self._answers)} clients failed in round {server_round}; the first is "
                f"client {first.client_id} ({first.error_kind}; flower.round_timeout_s="
                f"{self._plan.round_timeout_s:g}):\n{first.error}"
            )

    def _invocations(self, server_round: int) -> list[InvocationRow]:
        messages = {node: message_id for message_id, node in self._marks.nodes.items()}
        return [
            invocation_row(
                self._recorder.run_id,
                server_round,
                answer,
                message_id=messages.get(self._nodes[answer.client_id]),
                submitted_at=self._fan_out_at,
                arrived_at=self._marks.arrived_at.get(self._nodes[answer.client_id]),
                bytes_in=self._bytes_in,
            )
            for answer in self._answers
        ]


def _average(answers: Iterable[Answer]) -> tuple[Weights, int]:
    """Average successful answers in the order given."""
    average = StreamingAverage()
    for answer in answers:
        assert answer.arrays is not None and answer.num_examples is not None
        average.add(to_weights(answer.arrays), answer.num_examples)
    return average.result(), average.num_examples
