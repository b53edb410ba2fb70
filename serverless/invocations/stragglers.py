"""Attempts whose answers come after their round was closed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from metrics.collect.recorder import Recorder
from metrics.collect.row_types import InvocationRow
from serverless.storage import StoreError
from serverless.storage.run_objects import RunObjects


def discarded(row: InvocationRow) -> InvocationRow:
    """Return an attempt as one that is not used, because its round had been closed; its cost stays."""
    return replace(row, status="discarded")


@dataclass(frozen=True)
class LateAnswers:
    """Records late attempts, and deletes what they left in the store."""

    objects: RunObjects
    recorder: Recorder

    def __call__(self, row: InvocationRow) -> None:
        """Record one; where the round failed and was never closed, the attempt keeps its status."""
        was_closed = any(done.server_round == row.server_round for done in self.recorder.rounds)
        self.recorder.invocations([discarded(row) if was_closed else row])
        if row.client_id is not None:
            with suppress(StoreError):  # it is not read again, and the end of the run deletes everything
                self.objects.forget_late(row.server_round, row.client_id, row.attempt)
