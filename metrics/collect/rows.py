"""Rows from what was measured: one way for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metrics.collect.phases import RoundTimes
from metrics.collect.probe import Span, WorkReport
from metrics.collect.row_types import InvocationRow, RoundRow


def with_work(row: InvocationRow, work: WorkReport | None) -> InvocationRow:
    """Add to the row of an attempt what its worker measured.

    Parameters
    ----------
    row
        What the controller knows of the attempt. A cold start counts from its ``submitted_at`` on, because a worker
        that was started ahead of the work kept nobody waiting.
    work
        What the worker reported; ``None`` if it never did, and then its columns stay null.
    """
    if work is None:
        return row
    return replace(
        row,
        is_cold=work.is_cold,
        function_s=work.seconds,
        queue_s=max(0.0, min([work.started_at, *(span.start for span in work.spans)]) - row.submitted_at),
        cold_start_s=_seconds_since(row.submitted_at, work, "cold_start"),
        compile_s=_seconds_since(row.submitted_at, work, "compile"),
        fetch_s=_seconds_since(row.submitted_at, work, "fetch"),
        train_s=_seconds_since(row.submitted_at, work, "train"),
        store_s=_seconds_since(row.submitted_at, work, "store"),
        aggregate_s=_seconds_since(row.submitted_at, work, "aggregate"),
        evaluate_s=_seconds_since(row.submitted_at, work, "evaluate"),
        cpu_s=work.cpu_s,
        worker_peak_rss_bytes=work.peak_memory_bytes,
        memory_source=work.memory_source,
        cgroup_cpu_s=work.cgroup_cpu_s,
        cgroup_peak_memory_bytes=work.cgroup_peak_memory_bytes,
        cgroup_source=work.cgroup_source,
    )


def _seconds_since(moment: float, work: WorkReport, phase: str) -> float | None:
    spans = [span for span in work.spans if span.phase == phase]
    clipped = [Span(phase, max(span.start, moment), max(span.end, moment)) for span in spans]
    return sum(span.seconds for span in clipped) if clipped else None


def controller_row(run_id: str, server_round: int, work: WorkReport) -> InvocationRow:
    """Describe the averaging and evaluation that a controller did itself: no process was started for it."""
    row = InvocationRow(
        run_id=run_id,
        server_round=server_round,
        function="aggregator",
        attempt=1,
        status="success",
        submitted_at=work.started_at,
        client_s=work.seconds,
    )
    return replace(with_work(row, work), is_cold=None, cold_start_s=None)


def round_row(
    times: RoundTimes,
    invocations: Sequence[InvocationRow],
    *,
    run_id: str,
    server_round: int,
    started_at: float,
    test_accuracy: float,
    test_loss: float,
    weights_sha256: str,
    stragglers: int = 0,
) -> RoundRow:
    """Describe a finished round by its clock and its invocations.

    Parameters
    ----------
    times
        What :meth:`metrics.collect.phases.RoundClock.close` returned.
    invocations
        The attempts that had ended when the round was closed; only successful clients count as participants, but what
        failed counts as attempts and in CPU seconds. Discarded ones, whose answers came after that, count in nothing:
        their rows may come much later.
    """
    invocations = [row for row in invocations if row.status != "discarded"]
    averaged = [row for row in invocations if row.function == "client" and row.status == "success"]
    cpu_s = [row.cpu_s for row in invocations if row.cpu_s is not None]
    peaks = [row.worker_peak_rss_bytes for row in invocations if row.worker_peak_rss_bytes is not None]
    return RoundRow(
        run_id=run_id,
        server_round=server_round,
        started_at=started_at,
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        weights_sha256=weights_sha256,
        updates=len(averaged),
        num_examples=sum(row.num_examples or 0 for row in averaged),
        attempts=len(invocations),
        failures=sum(row.status == "failed" for row in invocations),
        stragglers=stragglers,
        cold_starts=sum(bool(row.is_cold) for row in invocations),
        cpu_s=sum(cpu_s) if cpu_s else None,
        largest_worker_peak_rss_bytes=max(peaks, default=None),
        **times,
    )
