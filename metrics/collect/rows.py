"""Rows from what was measured: one way for every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from metrics.collect.probe import Span, WorkReport
from metrics.collect.tables import InvocationRow, RoundRow

_WORK_PHASES = ("cold_start", "compile", "fetch", "train", "store", "aggregate", "evaluate")


def invocation_row(work: WorkReport | None, *, submitted_at: float, **known: Any) -> InvocationRow:
    """Describe one attempt at a piece of work.

    Parameters
    ----------
    work
        What the worker reported; ``None`` if it never did, and then nothing that it would have said is made up.
    submitted_at
        When the controller sent the work, in seconds since the epoch; a cold start counts from then on, because a
        worker that was started ahead of the work kept nobody waiting.
    known
        The columns that the controller knows; those neither known nor reported are null.
    """
    row: dict[str, Any] = dict.fromkeys(column.name for column in fields(InvocationRow) if column.default is MISSING)
    row.update(attempt=1, status="success", submitted_at=submitted_at)
    if work:
        phases = {f"{phase}_s": _seconds_since(submitted_at, work, phase) for phase in _WORK_PHASES}
        row.update(
            phases,
            is_cold=work.is_cold,
            function_s=work.seconds,
            cpu_s=work.cpu_s,
            peak_memory_bytes=work.peak_memory_bytes,
            memory_source=work.memory_source,
            cgroup_cpu_s=work.cgroup_cpu_s,
            cgroup_peak_memory_bytes=work.cgroup_peak_memory_bytes,
            cgroup_source=work.cgroup_source,
        )
    return InvocationRow(**{**row, **known})


def _seconds_since(moment: float, work: WorkReport, phase: str) -> float | None:
    spans = [span for span in work.spans if span.phase == phase]
    clipped = [Span(phase, max(span.start, moment), max(span.end, moment)) for span in spans]
    return sum(span.seconds for span in clipped) if clipped else None


def round_row(times: Mapping[str, Any], invocations: Sequence[InvocationRow], **known: Any) -> RoundRow:
    """Describe a finished round by its clock and its invocations.

    Parameters
    ----------
    times
        What :meth:`metrics.collect.phases.RoundClock.close` returned.
    invocations
        The attempts that had ended when the round was closed; only successful clients count as participants, but what
        failed counts as attempts and in CPU seconds. Discarded ones, whose answers came after that, count in nothing:
        their rows may come much later.
    known
        The other columns: ``run_id``, ``server_round``, ``started_at``, ``test_accuracy``, ``test_loss``,
        ``weights_sha256``.
    """
    invocations = [row for row in invocations if row.status != "discarded"]
    averaged = [row for row in invocations if row.function == "client" and row.status == "success"]
    cpu_s = [row.cpu_s for row in invocations if row.cpu_s is not None]
    peaks = [row.peak_memory_bytes for row in invocations if row.peak_memory_bytes is not None]
    return RoundRow(
        clients=len(averaged),
        num_examples=sum(row.num_examples or 0 for row in averaged),
        attempts=len(invocations),
        failures=sum(row.status == "failed" for row in invocations),
        cold_starts=sum(bool(row.is_cold) for row in invocations),
        cpu_s=sum(cpu_s) if cpu_s else None,
        peak_memory_bytes=max(peaks, default=None),
        **times,
        **known,
    )
