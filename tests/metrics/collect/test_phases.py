"""The parts of a round add up to it, whatever the workers say and whatever their clocks show."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine import clocks
from metrics.collect.phases import PHASES, UNATTRIBUTED, RoundClock, RoundTimes, share
from metrics.collect.probe import Span, WorkReport
from metrics.collect.row_types import RoundRow

seconds = st.integers(0, 100_000).map(lambda milliseconds: milliseconds / 1000)  # no clock ticks finer than a float


def work(started_at: float, ended_at: float, *spans: Span) -> WorkReport:
    return WorkReport(started_at, ended_at, spans, 0.0, 0, "VmHWM", 1, False, clock=clocks.name())


@st.composite
def works(draw: st.DrawFn) -> WorkReport:
    """A work of any length with any spans, by a clock that may be minutes wrong; spans may overlap or stick out."""
    start = draw(seconds) * 4 - 200
    names = st.sampled_from(("cold_start", "fetch", "compile", "train", "store"))
    spans = draw(
        st.lists(st.builds(lambda n, a, d: Span(n, start + a - 5, start + a - 5 + d), names, seconds, seconds))
    )
    return work(start, start + draw(seconds), *spans)


@given(st.lists(works(), max_size=6), st.floats(0.001, 100), st.floats(-10, 110))
def test_parts_of_a_fan_out_add_up_to_its_length(reports: list[WorkReport], length: float, sent_at: float) -> None:
    parts = share(0.0, length, reports, sent_at=sent_at)
    assert sum(parts.values()) == pytest.approx(length, abs=1e-9)
    assert all(part >= 0 for part in parts.values())
    assert set(parts) <= {*PHASES, UNATTRIBUTED}


@given(st.lists(works(), max_size=4), st.floats(0.001, 100), st.floats(-50, 50))
def test_shares_do_not_depend_on_when_it_happened(reports: list[WorkReport], length: float, later: float) -> None:
    moved = [
        work(
            r.started_at + later, r.ended_at + later, *(Span(s.phase, s.start + later, s.end + later) for s in r.spans)
        )
        for r in reports
    ]
    here = share(0.0, length, reports, sent_at=length / 3)
    there = share(later, later + length, moved, sent_at=later + length / 3)
    assert {k: v for k, v in here.items() if v > 1e-6} == pytest.approx(
        {k: there.get(k, 0.0) for k, v in here.items() if v > 1e-6}, abs=1e-6
    )


def test_a_moment_is_shared_equally_by_those_who_work_in_it() -> None:
    parts = share(
        0.0,
        12.0,
        [
            work(2, 8, Span("fetch", 2, 4), Span("train", 4, 8)),
            work(6, 10, Span("train", 6, 9)),  # its last second is in no phase
        ],
        sent_at=1.0,
    )
    assert parts == pytest.approx({"invoke": 1, "wait": 1, "fetch": 2, "train": 4 + 1, UNATTRIBUTED: 1, "poll": 2})


def test_idle_before_names_only_the_time_before_the_first_worker() -> None:
    reports = [work(3, 4, Span("train", 3, 4)), work(6, 7, Span("train", 6, 7))]
    parts = share(0.0, 7.0, reports, sent_at=1.0, idle_before="runtime_start")
    assert parts == pytest.approx({"invoke": 1, "runtime_start": 2, "train": 2, "wait": 2})


def test_the_cold_start_before_a_work_counts_from_the_dispatch() -> None:
    parts = share(0.0, 6.0, [work(4, 6, Span("cold_start", -3, 4), Span("train", 4, 6))], sent_at=0.0)
    assert parts == pytest.approx({"cold_start": 4, "train": 2})


@pytest.mark.parametrize("skew", [-3600.0, -2.0, 0.5, 2.0])
def test_of_a_worker_on_another_machine_only_durations_count(skew: float) -> None:
    """Its cold start keeps its length, and what else the call took is a wait: the clocks are not compared."""
    here = work(1.5, 4.5, Span("cold_start", 0.0, 1.5), Span("train", 1.5, 4.5))
    spans = tuple(Span(span.phase, span.start + skew, span.end + skew) for span in here.spans)
    there = replace(here, started_at=1.5 + skew, ended_at=4.5 + skew, spans=spans, clock="another:1.0")
    seen = there.by_our_clock(sent_at=0.0, answered_at=5.0)
    assert share(0.0, 5.0, [seen], sent_at=0.0) == pytest.approx({"wait": 0.5, "cold_start": 1.5, "train": 3.0})
    assert here.by_our_clock(sent_at=0.0, answered_at=5.0) is here


@pytest.mark.parametrize("skew", [-1000.0, 1000.0])
def test_a_worker_whose_clock_is_wrong_is_moved_into_the_round(skew: float) -> None:
    report = work(skew, skew + 3, Span("fetch", skew, skew + 1), Span("train", skew + 1, skew + 3))
    parts = share(0.0, 5.0, [report], sent_at=0.0)
    assert parts["fetch"] == pytest.approx(1)
    assert parts["train"] == pytest.approx(2)


def test_without_any_report_nobody_is_said_to_have_finished() -> None:
    assert share(0.0, 5.0, [], sent_at=2.0) == {"invoke": 2, "wait": 3}


def test_round_clock_adds_up_and_keeps_a_failed_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([100.0, 101.0, 103.0, 103.5, 104.0, 110.0])
    monkeypatch.setattr("metrics.collect.phases.now", lambda: next(ticks))
    clock = RoundClock(started_at=next(ticks))
    with clock.phase("select"):
        pass
    with pytest.raises(OSError, match="disk"), clock.phase("publish"):
        raise OSError("disk")
    clock.add_fan_out(104.0, 109.0, [work(104, 109, Span("train", 104, 108))], sent_at=104.0)
    times = clock.close()
    assert times["select_s"] == 2.0
    assert times["publish_s"] == 0.5
    assert times["train_s"] == 4.0
    assert times["round_s"] == 10.0
    assert times["unattributed_s"] == 10.0 - 6.5
    assert set(times) == {f"{phase}_s" for phase in PHASES} | {"round_s", "unattributed_s"}
    assert set(times) == RoundTimes.__annotations__.keys() <= {column.name for column in fields(RoundRow)}


def test_an_unknown_phase_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no phase 'trian'; phases are select, publish"):
        RoundClock().add("trian", 1.0)
