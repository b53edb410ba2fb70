"""The table rows of a round under Flower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from baselines.flower.records import Answer, size_bytes
from metrics.probe import Span, WorkReport
from metrics.tables import InvocationRow, RoundRow
from task.evaluation import Evaluation

CLIENT_PHASES = ("compile", "fetch", "train", "store")


def invocation_row(
    run_id: str,
    server_round: int,
    answer: Answer,
    *,
    message_id: str | None,
    submitted_at: float,
    arrived_at: float | None,
    bytes_in: int,
) -> InvocationRow:
    """Describe one train message and its answer.

    Parameters
    ----------
    submitted_at, arrived_at
        When the round's messages began to leave, and when the server had pulled this answer (``None``: it did not).
    bytes_in
        Encoded arrays in the message.
    """
    work = answer.work
    phases: dict[str, Any] = {f"{phase}_s": work.phase_s(phase) if work else None for phase in CLIENT_PHASES}
    return InvocationRow(
        run_id=run_id,
        server_round=server_round,
        function="client",
        client_id=answer.client_id,
        attempt=1,
        platform=None,
        activation_id=message_id,
        status="failed" if answer.error_kind else "success",
        error_kind=answer.error_kind,
        is_cold=work.is_cold if work else None,
        submitted_at=submitted_at,
        client_s=None if arrived_at is None else arrived_at - submitted_at,
        provider_s=None,
        function_s=work.seconds if work else None,
        platform_wait_s=None,
        init_s=None,
        cold_start_s=_cold_start_s(work, submitted_at) if work else None,
        aggregate_s=None,
        evaluate_s=None,
        cpu_s=work.cpu_s if work else None,
        peak_memory_bytes=work.peak_memory_bytes if work else None,
        memory_source=work.memory_source if work else None,
        memory_limit_bytes=None,
        bytes_in=bytes_in,
        bytes_out=size_bytes(answer.arrays) if answer.arrays is not None else None,
        num_examples=answer.num_examples,
        train_loss=answer.train_loss,
        **phases,
    )


def _cold_start_s(work: WorkReport, submitted_at: float) -> float:
    """Seconds of the cold start that this message waited for: Ray starts its workers before the first message."""
    spans = [span for span in work.spans if span.phase == "cold_start"]
    return sum(Span(span.phase, max(span.start, submitted_at), max(span.end, submitted_at)).seconds for span in spans)


def round_row(
    run_id: str,
    server_round: int,
    answers: Sequence[Answer],
    evaluation: Evaluation,
    *,
    started_at: float,
    weights_sha256: str,
    server_cpu_s: float,
    times: dict[str, float],
) -> RoundRow:
    """Describe a finished round; ``times`` are those of :meth:`metrics.phases.RoundClock.close`."""
    works = [answer.work for answer in answers if answer.work]
    measured: dict[str, Any] = times
    return RoundRow(
        run_id=run_id,
        server_round=server_round,
        started_at=started_at,
        test_accuracy=evaluation.test_accuracy,
        test_loss=evaluation.test_loss,
        weights_sha256=weights_sha256,
        clients=len(answers),
        num_examples=sum(answer.num_examples or 0 for answer in answers),
        attempts=len(answers),
        failures=0,
        cold_starts=sum(work.is_cold for work in works),
        cpu_s=sum(work.cpu_s for work in works) + server_cpu_s,
        peak_memory_bytes=max(work.peak_memory_bytes for work in works),
        **measured,
    )
