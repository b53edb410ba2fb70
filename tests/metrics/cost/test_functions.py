"""Billed time, memory and the cost of attempts: exact at the boundaries, and never less for more."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.cost.functions import attempt_seconds, billed_memory_mb, billed_seconds, usage, usd
from metrics.cost.prices import PriceBook

Maker = Callable[..., PriceBook]
MIB = 2**20
QUANTA = st.sampled_from([0.001, 0.1, 1.0])
SECONDS = st.integers(0, 10**9).map(lambda micros: micros / 1e6)


def calls(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of ``invocations`` of 1 GB functions whose records say 1 s, unless told otherwise."""
    known = {
        "function": "client",
        "status": "success",
        "platform": "openwhisk",
        "error_kind": None,
        "activation_id": "a",
        "provider_s": 1.0,
        "provider_start": "reported",
        "init_s": None,
        "function_s": None,
        "cold_start_s": None,
        "client_s": None,
        "memory_limit_bytes": 1024 * MIB,
        "worker_peak_rss_bytes": None,
    }
    return pd.DataFrame([known | row for row in rows])


def cost(book: PriceBook, *rows: dict[str, Any], memory_mb: int | None = None) -> float:
    return float(usd(usage(calls(*rows), book.function, memory_mb), book.function).sum())


@given(st.integers(0, 10**6), QUANTA)
def test_whole_steps_are_billed_as_they_are_however_the_float_came_about(steps: int, quantum_s: float) -> None:
    exact = Decimal(steps) * Decimal(str(quantum_s))
    assert billed_seconds([float(exact), steps * quantum_s], quantum_s).tolist() == [float(exact)] * 2


@given(st.integers(1, 300), QUANTA)
def test_a_clock_that_was_added_up_in_floats_is_not_billed_a_step_more(steps: int, quantum_s: float) -> None:
    added = sum([quantum_s] * steps)  # 0.1 three times is 0.30000000000000004
    assert billed_seconds(added, quantum_s).item() == float(Decimal(steps) * Decimal(str(quantum_s)))


@given(st.integers(0, 10**6), QUANTA, st.integers(1, 999))
def test_anything_beyond_a_step_is_the_next_one(steps: int, quantum_s: float, micros: int) -> None:
    seconds = float(Decimal(steps) * Decimal(str(quantum_s)) + Decimal(micros) / 10**6)
    assert billed_seconds(seconds, quantum_s).item() == float((steps + 1) * Decimal(str(quantum_s)))


@given(SECONDS, QUANTA, st.sampled_from([0.0, 0.1, 60.0]))
def test_billed_seconds_are_the_formula_in_exact_arithmetic(seconds: float, quantum_s: float, minimum_s: float) -> None:
    quantum = Decimal(str(quantum_s))
    raised = max(Decimal(str(seconds)), Decimal(str(minimum_s)))
    wanted = (raised / quantum).to_integral_value(ROUND_CEILING) * quantum
    assert billed_seconds(seconds, quantum_s, minimum_s).item() == float(wanted)


def test_what_is_not_known_stays_so_and_a_step_of_nothing_is_refused() -> None:
    assert math.isnan(billed_seconds([math.nan], 0.1)[0])
    with pytest.raises(ValueError, match="quantum_s=0"):
        billed_seconds([1.0], 0.0)


@given(SECONDS, SECONDS, st.integers(1, 4096), st.integers(1, 4096))
def test_more_time_memory_or_calls_never_cost_less(
    book_maker: Maker, first_s: float, second_s: float, first_mb: int, second_mb: int
) -> None:
    book = book_maker(function={"per_vcpu_s": 1e-6, "memory_step_mb": 128})
    (less_s, more_s), (less_mb, more_mb) = sorted([first_s, second_s]), sorted([first_mb, second_mb])
    least = cost(book, {"provider_s": less_s}, memory_mb=less_mb)
    assert least <= cost(book, {"provider_s": more_s}, memory_mb=less_mb)
    assert least <= cost(book, {"provider_s": less_s}, memory_mb=more_mb)
    assert least < cost(book, {"provider_s": less_s}, {"provider_s": more_s}, memory_mb=less_mb)


def test_an_invocation_costs_what_the_formula_says(book_maker: Maker) -> None:
    book = book_maker(function={"per_vcpu_s": 2e-5, "vcpus": 0.5})
    assert cost(book, {"provider_s": 1.23}, memory_mb=512) == pytest.approx(1.3 * (0.5 * 1e-5 + 0.5 * 2e-5) + 1e-6)


@pytest.mark.parametrize(
    ("memory_mb", "usd_per_100_ms"),
    [(128, 2.31e-7), (256, 4.63e-7), (512, 9.25e-7), (1024, 1.65e-6), (2048, 2.9e-6), (4096, 5.8e-6), (8192, 6.8e-6)],
)
def test_clocks_come_with_memory_as_google_s_table_has_them(
    book_maker: Maker, memory_mb: int, usd_per_100_ms: float
) -> None:
    tiers = ((128, 0.2), (256, 0.4), (512, 0.8), (1024, 1.4), (2048, 2.4), (4096, 4.8), (8192, 4.8))
    gen1 = {"per_gb_s": 2.5e-6, "per_ghz_s": 1e-5, "per_million_requests": 0.0, "tiers": tiers}
    found = cost(book_maker(function=gen1), {"provider_s": 0.1}, memory_mb=memory_mb)
    assert found == pytest.approx(usd_per_100_ms, abs=0.6e-9)  # the table has three figures
    assert cost(book_maker(function=gen1), {"provider_s": 0.1}, memory_mb=memory_mb - 27) == pytest.approx(found)
    with pytest.raises(ValueError, match="memory_mb=8193: the largest on offer is 8192"):
        cost(book_maker(function=gen1), {}, memory_mb=8193)


def test_observed_memory_is_billed_in_steps_up_to_the_limit(book_maker: Maker) -> None:
    price = book_maker(function={"billed_memory": "peak", "memory_step_mb": 128}).function
    assert billed_memory_mb([1, 128, 128.1, 700], price).tolist() == [128, 128, 256, 768]
    rows = calls(
        {"worker_peak_rss_bytes": 300 * MIB}, {"worker_peak_rss_bytes": None}, {"worker_peak_rss_bytes": 5000 * MIB}
    )
    assert usage(rows, price)["gb_s"].tolist() == pytest.approx([0.375, 1.0, 1.0])


def test_failures_and_cold_starts_are_billed_and_what_never_began_is_not(book_maker: Maker) -> None:
    book = book_maker()
    one_s = 1e-5 + 1e-6
    assert cost(book, {"status": "failed"}) == pytest.approx(one_s)
    assert cost(book, {"provider_s": 3.0, "init_s": 2.0}) == pytest.approx(3e-5 + 1e-6)
    refused = {"activation_id": None, "provider_s": None, "client_s": 0.2, "status": "failed"}
    assert cost(book, refused) == 0.0


@pytest.mark.parametrize(
    "unheard",
    [
        {"status": "discarded", "error_kind": "no answer"},  # a straggler
        {"status": "failed", "error_kind": "no record"},
        {"status": "success", "error_kind": "unreachable"},  # its work was in the store
    ],
)
def test_what_may_have_run_unheard_is_billed_as_long_as_it_was_waited_for(
    book_maker: Maker, unheard: dict[str, Any]
) -> None:
    silent = {"activation_id": None, "provider_s": None, "client_s": 3.0}
    assert cost(book_maker(), silent | unheard) == pytest.approx(3e-5 + 1e-6)


def test_a_straggler_costs_what_it_would_have_cost_in_time(book_maker: Maker) -> None:
    assert cost(book_maker(), {"status": "discarded"}) == cost(book_maker(), {"status": "success"})


def test_initialisation_is_taken_off_where_it_is_free(book_maker: Maker) -> None:
    book = book_maker(function={"bills_init": False})
    assert cost(book, {"provider_s": 3.0, "init_s": 2.0}) == pytest.approx(1e-5 + 1e-6)


def test_without_a_record_the_worker_s_clock_counts_and_without_an_answer_the_controller_s() -> None:
    rows = calls(
        {"provider_s": 2.0, "function_s": 1.5, "client_s": 9.0},
        {"provider_s": None, "function_s": 1.5, "cold_start_s": 0.25, "client_s": 9.0},
        {"provider_s": None, "client_s": 9.0},
        {"provider_s": None},
    )
    assert attempt_seconds(rows).tolist() == [2.0, 1.75, 9.0, 0.0]


def test_a_start_that_a_duration_excludes_is_added_from_the_workers_clock() -> None:
    cold = {"provider_s": 2.0, "function_s": 1.5, "cold_start_s": 0.5}
    rows = calls(*({**cold, "provider_start": start} for start in ("excluded", "reported", None)))
    assert attempt_seconds(rows).tolist() == [2.5, 2.0, 2.0]


def test_an_unknown_price_makes_an_unknown_cost(book_maker: Maker) -> None:
    book = book_maker(function={"per_gb_s": None})
    assert math.isnan(cost(book, {}))
    assert not book.function.is_known


def test_unknown_memory_is_asked_for(book_maker: Maker) -> None:
    with pytest.raises(ValueError, match="give memory_mb="):
        cost(book_maker(), {"memory_limit_bytes": None})
    assert cost(book_maker(), {"memory_limit_bytes": None}, memory_mb=1024) > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_gb_s": -1.0},
        {"quantum_s": 0.0},
        {"per_gb_s": math.inf},
        {"billed_memory": "some"},
        {"tiers": ((256, 0.4), (128, 0.2))},
    ],
)
def test_an_impossible_price_is_refused(book_maker: Maker, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        book_maker(function=wrong)


def test_usage_keeps_the_rows_index(book_maker: Maker) -> None:
    rows = calls({}, {}).set_index(pd.Index([7, 3]))
    assert usage(rows, book_maker().function).index.tolist() == [7, 3]
    assert np.isfinite(usage(rows.iloc[:0], book_maker().function).to_numpy()).all()
