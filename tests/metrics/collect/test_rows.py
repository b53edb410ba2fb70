"""A call is a queue, then a cold start, then the work: the parts never exceed it, whoever's clock the worker has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine import clocks
from metrics.collect.probe import Span, WorkReport
from metrics.collect.row_types import InvocationRow
from metrics.collect.rows import with_work

SENT_AT = 1000.0
ROW = InvocationRow(
    run_id="r", server_round=1, function="client", client_id=0, attempt=1, status="success", submitted_at=SENT_AT
)


def work(born: float | None, began: float, ended: float, clock: str | None) -> WorkReport:
    """A work with a cold start from ``born`` to its beginning, if it has one."""
    cold = () if born is None else (Span("cold_start", born, began),)
    return WorkReport(began, ended, (*cold, Span("train", began, ended)), 0.0, 0, "VmHWM", 1, bool(cold), clock=clock)


def test_a_client_waits_for_a_free_worker_and_then_trains() -> None:
    row = with_work(replace(ROW, client_s=9.0), work(None, SENT_AT + 5.0, SENT_AT + 8.5, clocks.name()))
    assert (row.queue_s, row.function_s, row.cold_start_s) == (5.0, 3.5, None)


def test_a_cold_start_is_no_queue_and_one_ahead_of_the_call_kept_nobody_waiting() -> None:
    cold = with_work(replace(ROW, client_s=9.0), work(SENT_AT + 1.0, SENT_AT + 5.0, SENT_AT + 8.5, clocks.name()))
    assert (cold.queue_s, cold.cold_start_s) == (1.0, 4.0)
    ahead = with_work(replace(ROW, client_s=9.0), work(SENT_AT - 60.0, SENT_AT + 5.0, SENT_AT + 8.5, clocks.name()))
    assert (ahead.queue_s, ahead.cold_start_s) == (0.0, 5.0)


parts = st.floats(0, 100).map(lambda seconds: round(seconds, 3))


@given(queue=parts, cold=st.none() | parts, train=parts, back=parts, skew=st.floats(-4000, 4000), same=st.booleans())
def test_queue_cold_start_and_work_fit_into_the_call(queue, cold, train, back, skew, same) -> None:
    moved = 0.0 if same else skew
    began = SENT_AT + queue + (cold or 0.0) + moved
    born = None if cold is None else SENT_AT + queue + moved
    client_s = queue + (cold or 0.0) + train + back
    report = work(born, began, began + train, clocks.name() if same else "another:1.0")
    row = with_work(replace(ROW, client_s=client_s), report.by_our_clock(SENT_AT, SENT_AT + client_s))
    found = [row.queue_s, row.cold_start_s or 0.0, row.function_s]
    assert min(found) >= 0
    assert sum(found) <= client_s + 1e-6
    assert row.function_s == pytest.approx(train, abs=1e-6)
    assert (row.cold_start_s or 0.0) == pytest.approx(cold or 0.0, abs=1e-6)
    assert row.queue_s == pytest.approx(queue if same else queue + back, abs=1e-6)
