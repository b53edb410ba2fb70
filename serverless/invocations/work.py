"""The two kinds of work that a keeper has done: a client's training, and the average of a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from metrics.collect.probe import WorkReport
from serverless.functions.messages import (
    AggregatorParams,
    AverageAnswer,
    ClientAnswer,
    ClientParams,
    CorruptAnswer,
    Evaluation,
    Measured,
    Stored,
    UpdateParams,
)
from serverless.invocations.answers import BadAnswer, read_aggregator_answer, read_client_answer, read_evaluation
from serverless.storage.run_objects import RunObjects
from task.states import keeps_client_state, server_state_like
from task.weights import Stamp

Answer = ClientAnswer | AverageAnswer | CorruptAnswer


@dataclass(frozen=True)
class Success:
    """The attempt whose work counts, and its answer.

    Where the answer was lost, it is what the attempt left in the store: an evaluation, or the hashes of an update.
    """

    attempt: int
    answer: Answer | Evaluation | Stored | None = None

    @property
    def report(self) -> WorkReport | None:
        """What the probe measured; ``None`` if the answer was lost."""
        return self.answer.work if isinstance(self.answer, Measured) else None


class Work(Protocol):
    """One piece of work. Its methods are called from several threads at once.

    All may raise :class:`~serverless.storage.StoreError`.
    """

    @property
    def server_round(self) -> int:
        """The round, counted from 1."""

    @property
    def client_id(self) -> int | None:
        """Whose; ``None`` for the aggregator's."""

    @property
    def num_examples(self) -> int:
        """The images behind it."""

    def params(self, attempt: int) -> Mapping[str, Any]:
        """Return the function's parameters for an attempt, counted from 1."""

    def read(self, result: object) -> Answer:
        """Read the function's answer; raises :class:`~serverless.invocations.answers.BadAnswer`."""

    def found(self, attempt: int) -> Success | None:
        """Return an attempt whose work is in the store although its answer was lost; ``None`` if nothing whole is."""


@dataclass(frozen=True)
class Training:
    """Have a client train the global weights on its images; its update is in the store afterwards."""

    objects: RunObjects
    server_round: int
    client_id: int
    num_examples: int

    def params(self, attempt: int) -> ClientParams:
        """See :class:`Work`."""
        return self.objects.client_params(self.server_round, self.client_id, attempt)

    def read(self, result: object) -> ClientAnswer:
        """See :class:`Work`."""
        return read_client_answer(result, self.num_examples, keeps_state=keeps_client_state(self.objects.job))

    def found(self, attempt: int) -> Success | None:
        """See :class:`Work`."""
        stored = self.objects.stored(Stamp(self.server_round, self.client_id, attempt, self.num_examples))
        return Success(attempt, stored) if stored else None


@dataclass(frozen=True)
class Averaging:
    """Have updates averaged; the new global weights and their evaluation are in the store afterwards."""

    objects: RunObjects
    server_round: int
    updates: tuple[UpdateParams, ...]
    test_sha256: str
    client_id: None = None

    @property
    def num_examples(self) -> int:
        """See :class:`Work`."""
        return sum(update["num_examples"] for update in self.updates)

    def params(self, attempt: int) -> AggregatorParams:
        """See :class:`Work`."""
        return self.objects.aggregator_params(self.server_round, attempt, self.updates, self.test_sha256)

    def read(self, result: object) -> AverageAnswer | CorruptAnswer:
        """See :class:`Work`."""
        clients = {update["client_id"] for update in self.updates}
        return read_aggregator_answer(result, self.num_examples, clients, keeps_state=self._keeps_state)

    def found(self, attempt: int) -> Success | None:
        """See :class:`Work`."""
        left = self.objects.evaluation(self.server_round, attempt)
        try:
            return Success(attempt, read_evaluation(left, self.num_examples, keeps_state=self._keeps_state))
        except BadAnswer:
            return None

    @property
    def _keeps_state(self) -> bool:
        return bool(server_state_like(self.objects.job))
