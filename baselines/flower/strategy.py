"""FedAvg as Flower runs it, with this project's selection, averaging and evaluation, and a clock on every step.

The loop is Flower's own (:meth:`flwr.serverapp.strategy.Strategy.start`): configure, send and receive, aggregate,
evaluate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from baselines.flower.message_times import postmark
from baselines.flower.messages import ARRAYS, NUM_EXAMPLES, to_record
from baselines.flower.optimizer_states import fetch_states
from baselines.flower.plan import Plan
from baselines.flower.round import Round
from baselines.resume_point import noted
from metrics.collect.probe import Probe
from metrics.collect.recorder import Recorder
from metrics.collect.rows import controller_row, round_row
from task.data import Images
from task.evaluation import evaluate
from task.states import keeps_client_state
from task.weights import Weights, dumps, sha256


class TargetReached(Exception):  # noqa: N818 - not an error: Flower's loop has no other way to end early
    """The global model has reached the target accuracy of the job."""


class OrderedFedAvg(FedAvg):
    """Federated averaging whose clients, order and arithmetic are the task's.

    Parameters
    ----------
    plan
        The run.
    nodes
        Client id -> node that has this client's partition.
    dataset
        The test images.
    num_examples
        Of each client, by its id.
    recorder
        Gets a row per round and client, and a checkpoint.
    """

    def __init__(
        self,
        plan: Plan,
        nodes: Mapping[int, int],
        dataset: Images,
        num_examples: tuple[int, ...],
        recorder: Recorder,
    ) -> None:
        super().__init__(fraction_evaluate=0.0, weighted_by_key=NUM_EXAMPLES, arrayrecord_key=ARRAYS)
        self._plan, self._nodes, self._dataset, self._recorder = plan, dict(nodes), dataset, recorder
        self._num_examples = num_examples
        self._weights: Weights = {}
        self._state: Weights | None = None
        self._rounds_before = 0

    def learn(self, grid: Grid, weights: Weights, rounds: range, state: Weights | None = None) -> Weights:
        """Run these rounds of the job from ``weights`` on, and return the last global weights.

        Parameters
        ----------
        state
            The state of the job's strategy; ``None``: there is none yet.

        Raises
        ------
        ClientFailed
            If a client failed or did not answer in time; the message contains the remote traceback.
        """
        self._marks = postmark(grid)
        self._grid, self._weights, self._state = grid, weights, state
        self._rounds_before = rounds.start - 1  # Flower counts from 1 in every process
        with contextlib.suppress(TargetReached):
            self.start(
                grid,
                to_record(weights),
                num_rounds=len(rounds),
                timeout=self._plan.round_timeout_s,
                evaluate_fn=self._evaluate,
            )
        return self._weights

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Open the round: a message with the global weights to each of its clients."""
        number = self._rounds_before + server_round
        self._round = Round(self._plan, number, self._nodes, self._marks, self._num_examples)
        return self._round.open(arrays, config, self._state)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Make the next global weights of the updates."""
        self._round.collect()
        self._probe = Probe()
        try:
            self._round.refuse_failures()
            with self._round.clock.phase("aggregate"), self._probe.phase("aggregate"):
                aggregation = self._round.aggregate(self._weights, self._state)
                self._round.refuse_failures()
                self._weights, self._state = aggregation.result(), aggregation.state
        except Exception:
            self._recorder.invocations(self._round.invocations())
            raise
        with self._round.clock.phase("publish"):
            arrays = to_record(self._weights)
        return arrays, MetricRecord({NUM_EXAMPLES: aggregation.num_examples})

    def _evaluate(self, server_round: int, _arrays: ArrayRecord) -> MetricRecord | None:
        """Evaluate the global model, and close the round; Flower calls it for the initial weights as round 0."""
        if server_round == 0:
            return None
        with self._round.clock.phase("evaluate"), self._probe.phase("evaluate"):
            test = self._dataset.test_images, self._dataset.test_labels
            evaluation = evaluate(self._plan.job.model, self._weights, *test)
        work, times = self._probe.report(), self._round.clock.close()  # the work lies within the round
        rows = [*self._round.invocations(), controller_row(self._plan.run_id, self._round.server_round, work)]
        row = round_row(
            times,
            rows,
            run_id=self._plan.run_id,
            server_round=self._round.server_round,
            started_at=self._round.clock.started_at,
            test_accuracy=evaluation.test_accuracy,
            test_loss=evaluation.test_loss,
            weights_sha256=sha256(self._weights),
        )
        states = noted(self._changed_states(), self._state or {})
        self._recorder.checkpoint(row.server_round, dumps(self._weights), states)
        self._recorder.round(row, rows)
        if self._plan.job.reached(evaluation.test_accuracy):
            raise TargetReached
        return MetricRecord({"accuracy": evaluation.test_accuracy, "loss": evaluation.test_loss})

    def _changed_states(self) -> dict[int, bytes]:
        """Ask the round's clients for the states that they keep, after the round's clock was stopped."""
        if not keeps_client_state(self._plan.job):
            return {}
        return fetch_states(self._grid, {client: self._nodes[client] for client in self._round.clients}, self._plan)
