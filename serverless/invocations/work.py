"""The two kinds of work that a keeper has done: a client's training, and the average of a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from serverless.invocations.answers import BadAnswer, check_aggregator_answer, check_client_answer, check_evaluation
from serverless.invocations.attempts import Work
from serverless.storage.run_objects import RunObjects, Update


def training(objects: RunObjects, server_round: int, client_id: int, num_examples: int) -> Work:
    """Have a client train the global weights on its images; its update is in the store afterwards."""

    def update_of(attempt: int) -> Mapping[str, Any] | None:
        return {} if objects.has_update(server_round, client_id, attempt) else None

    return Work(
        server_round,
        client_id,
        num_examples,
        params=partial(objects.client_params, server_round, client_id),
        read=partial(check_client_answer, num_examples=num_examples),
        result_of=update_of,
    )


def averaging(objects: RunObjects, server_round: int, updates: Sequence[Update], test_sha256: str) -> Work:
    """Have some updates averaged; the new global weights and their evaluation are in the store afterwards."""
    num_examples = sum(update.num_examples for update in updates)
    clients = frozenset(update.client_id for update in updates)
    granted = objects.granted(server_round, updates)

    def evaluation_of(attempt: int) -> Mapping[str, Any] | None:
        found = objects.evaluation(server_round, attempt)
        try:
            check_evaluation(found or {}, num_examples)
        except BadAnswer:
            return None
        return found

    return Work(
        server_round,
        None,
        num_examples,
        params=lambda attempt: objects.aggregator_params(server_round, attempt, granted, test_sha256),
        read=partial(check_aggregator_answer, num_examples=num_examples, clients=clients),
        result_of=evaluation_of,
    )
