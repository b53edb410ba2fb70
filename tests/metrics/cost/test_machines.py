"""Machines: how many, for how long, and the modelled length of a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.cost.breakeven import cross
from metrics.cost.prices import Billing, PriceBook
from metrics.cost.round_model import makespan, modelled_round_s
from metrics.cost.vm_count import slots, vm_count, vm_usd

Maker = Callable[..., PriceBook]
Makers = dict[str, Callable[..., Any]]
TIMES = st.lists(st.floats(0.01, 100.0), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("billing", "machines"),
    [
        (Billing(policy="per_client"), 100),
        (Billing(policy="per_selected"), 15),
        (Billing(policy="packed", clients_per_vm=2), 8),
        (Billing(policy="packed", clients_per_vm=15), 1),
    ],
)
def test_a_policy_says_how_many_machines(billing: Billing, machines: int) -> None:
    assert vm_count(100, 15, billing).item() == machines


@pytest.mark.parametrize(("seconds", "billed_s"), [(0.0, 60), (59.9, 60), (60.0, 60), (60.001, 61), (3600.0, 3600)])
def test_a_machine_is_billed_by_the_second_and_at_least_a_minute(
    book_maker: Maker, seconds: float, billed_s: int
) -> None:
    assert vm_usd(3, seconds, book_maker().vm).item() == pytest.approx(3 * billed_s * 0.36 / 3600)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 1000))
def test_more_time_or_machines_never_cost_less(book_maker: Maker, first_s: float, second_s: float, count: int) -> None:
    vm = book_maker().vm
    less, more = sorted([first_s, second_s])
    assert vm_usd(count, less, vm) <= vm_usd(count, more, vm) <= vm_usd(count + 1, more, vm)


def test_packed_machines_train_no_more_at_once_than_they_have_vcpus(book_maker: Maker) -> None:
    vm = book_maker().vm  # two vCPUs
    assert slots(10, Billing(policy="per_client"), vm).item() == 10
    assert slots(10, Billing(policy="packed", clients_per_vm=5), vm).item() == 4
    assert slots(10, Billing(policy="packed", clients_per_vm=1), vm).item() == 10


@given(TIMES, st.integers(1, 40))
def test_a_makespan_is_between_the_longest_work_and_all_of_it(times: list[float], at_once: int) -> None:
    found = makespan(times, at_once)
    assert max(times) <= found * (1 + 1e-9)
    assert found <= sum(times) * (1 + 1e-9)
    assert sum(times) / at_once <= found * (1 + 1e-9)


def modelled(makers: Makers, at_once: int, *clients: dict[str, Any], round_s: float = 10.0) -> float:
    """The modelled seconds of a round of 10 s, whose clients' fan-out took from 1000 to 1006 s."""
    rounds = pd.DataFrame([{"run_id": "r", "server_round": 1, "round_s": round_s}])
    ends = {"submitted_at": 1000.0, "client_s": 6.0}
    calls = pd.DataFrame([makers["invocations"]("r", 1, place, **ends | row) for place, row in enumerate(clients)])
    return float(modelled_round_s(rounds, calls, {"r": at_once}).iloc[0])


def test_a_modelled_round_is_what_was_around_the_clients_and_their_makespan(row_makers: Makers) -> None:
    clients = [{"function_s": 3.0}, {"function_s": 2.0}, {"function_s": 1.0}]
    assert modelled(row_makers, 1, *clients) == pytest.approx(4.0 + 6.0)
    assert modelled(row_makers, 2, *clients) == pytest.approx(4.0 + 3.0)
    assert modelled(row_makers, 3, *clients) == pytest.approx(4.0 + 3.0)


def test_a_client_s_attempts_follow_one_another_and_stragglers_hold_nobody_up(row_makers: Makers) -> None:
    retried = [
        {"client_id": 1, "function_s": 2.0, "status": "failed"},
        {"client_id": 1, "function_s": 2.5, "attempt": 2},
        {"client_id": 2, "function_s": 1.0},
        {"client_id": 3, "function_s": 90.0, "client_s": 95.0, "status": "discarded"},
    ]
    rounds = pd.DataFrame([{"run_id": "r", "server_round": 1, "round_s": 10.0}])
    rows = [
        row_makers["invocations"]("r", 1, row.pop("client_id"), submitted_at=1000.0, **{"client_s": 6.0} | row)
        for row in retried
    ]
    assert modelled_round_s(rounds, pd.DataFrame(rows), {"r": 9}).iloc[0] == pytest.approx(4.0 + 4.5)


def test_a_round_without_clients_is_as_measured(row_makers: Makers) -> None:
    rounds = pd.DataFrame([{"run_id": "r", "server_round": 1, "round_s": 10.0}])
    none = pd.DataFrame([row_makers["invocations"]("r", 1, 1)]).iloc[:0]
    assert modelled_round_s(rounds, none, {"r": 1}).tolist() == [10.0]


RATES = st.floats(0.001, 1000.0)


@given(RATES, RATES, RATES, RATES)
def test_at_the_crossing_both_sides_cost_the_same(vm_h: float, vm_r: float, f_h: float, f_r: float) -> None:
    rate = cross(vm_h + f_h, vm_r, f_h, vm_r + f_r)
    assert vm_h + f_h + rate * vm_r == pytest.approx(f_h + rate * (vm_r + f_r))
