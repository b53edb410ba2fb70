"""The bill of whole experiments, against sums done by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.analysis.comparisons.platforms import usd_by_place
from metrics.analysis.costs import headline, per_scenario
from metrics.analysis.kpis import per_run
from metrics.collect.cost_table import COLUMNS, COST, ITEMS
from metrics.collect.tables import load
from metrics.cost.bill import price
from metrics.cost.breakeven import break_evens
from metrics.cost.prices import OWN_BOARD, OWN_BOARDS_PRICE, PlacePrice, PriceBook

Maker = Callable[..., PriceBook]
Tables = dict[str, pd.DataFrame]
GB = 2**30
EGRESS = 10 * 2 * 2**20 / GB * 0.1  # of a round: ten clients, a MiB each way


@pytest.fixture
def tables(make_experiment: Callable[..., Path]) -> Tables:
    return load(make_experiment(rounds=3, target_accuracy=0.7))


def items(bill: pd.DataFrame, run_id: str, server_round: int) -> dict[str, float]:
    rows = bill[(bill["run_id"] == run_id) & (bill["server_round"] == server_round)]
    return dict(zip(rows["item"], rows["usd"], strict=True))


def test_functions_are_billed_by_attempts_and_carry_controller_store_and_egress(
    tables: Tables, book_maker: Maker
) -> None:
    bill = price(tables, book_maker())
    found = items(bill, "openwhisk-0", 2)
    assert found["functions"] == pytest.approx(10 * (0.6 * 1e-5 + 1e-6))  # 0.55 s are six steps of 0.1 s
    assert found["controller"] == pytest.approx((3.45 - 0.6 + 0.55) * 0.36 / 3600)
    assert found["egress"] == pytest.approx(EGRESS)
    assert found["store"] == 0.0
    assert "vm" not in found
    assert list(bill.columns) == COLUMNS
    assert set(bill["item"]) <= set(ITEMS)


def test_the_aggregator_function_is_an_item_of_its_own(tables: Tables, book_maker: Maker) -> None:
    calls = tables["invocations"]
    one = calls[calls["run_id"] == "openwhisk-0"].iloc[[-1]].assign(function="aggregator", client_id=None)
    with_it = {**tables, "invocations": pd.concat([calls, one], ignore_index=True)}
    found = items(price(with_it, book_maker()), "openwhisk-0", 3)
    assert found["aggregator"] == pytest.approx(0.6 * 1e-5 + 1e-6)
    assert found["egress"] == pytest.approx(EGRESS)  # it is where the store is


@pytest.mark.parametrize(("policy", "machines", "at_once_s"), [("per_client", 100, 2.6), ("per_selected", 10, 2.6)])
def test_machines_are_billed_by_policy_idle_ones_too(
    tables: Tables, book_maker: Maker, policy: str, machines: int, at_once_s: float
) -> None:
    """A client of flower's takes 0.6 s and at most 2.9 s of start; the longest of ten at once."""
    bill = price(tables, book_maker(policy=policy, round_time="measured"))
    rows = bill[(bill["run_id"] == "flower-0") & (bill["item"] == "vm")].set_index("server_round")
    assert (rows["machines"] == machines).all()
    assert rows.loc[2, "usd"] == pytest.approx(machines * 4.35 * 0.36 / 3600)
    total_s = math.ceil(60.0)  # wall_s
    assert rows["usd"].sum() == pytest.approx(machines * total_s * 0.36 / 3600)


def test_a_run_shorter_than_a_minute_is_billed_one_and_the_rest_is_round_0(tables: Tables, book_maker: Maker) -> None:
    tables["runs"]["wall_s"] = tables["runs"]["learning_s"]
    rows = price(tables, book_maker(round_time="measured")).query("run_id == 'flower-0' and item == 'controller'")
    assert rows["usd"].sum() == pytest.approx(60 * 0.36 / 3600)
    by_round = rows.set_index("server_round")["usd"]
    assert by_round[0] == pytest.approx((60 - rows["held_s"].sum()) * 0.36 / 3600)


def test_failed_attempts_of_a_round_that_never_ended_are_billed(tables: Tables, book_maker: Maker) -> None:
    calls = tables["invocations"]
    last = calls[(calls["run_id"] == "openwhisk-0") & (calls["server_round"] == 3)]
    more = {
        **tables,
        "invocations": pd.concat([calls, last.assign(server_round=4, status="failed")], ignore_index=True),
    }
    assert items(price(more, book_maker()), "openwhisk-0", 4)["functions"] == pytest.approx(10 * 7e-6)


def test_memory_changes_functions_alone(tables: Tables, book_maker: Maker) -> None:
    one, half = price(tables, book_maker()), price(tables, book_maker(memory_mb=512))
    changed = one["usd"].ne(half["usd"]) & one["usd"].notna()
    assert set(one.loc[changed, "item"]) == {"functions"}
    assert items(half, "openwhisk-0", 2)["functions"] == pytest.approx(10 * (0.3 * 1e-5 + 1e-6))


@pytest.mark.parametrize(
    ("store_on", "usd_of_a_round"),
    [("controller", 0.0), ("vm", 3.40 * 0.36 / 3600), ("operations", 10 * (5.0 + 3 * 0.4) / 1e6)],
)
def test_the_store_is_where_it_was_put(tables: Tables, book_maker: Maker, store_on: str, usd_of_a_round: float) -> None:
    bill = price(tables, book_maker(store_on=store_on))
    assert items(bill, "openwhisk-0", 2)["store"] == pytest.approx(usd_of_a_round)
    assert "store" not in items(bill, "flower-0", 2)


def test_kept_optimizer_states_are_read_and_written(tables: Tables, book_maker: Maker) -> None:
    tables["runs"]["optimizer_state"] = "keep"
    bill = price(tables, book_maker(store_on="operations"))
    assert items(bill, "openwhisk-0", 2)["store"] == pytest.approx(10 * (2 * 5.0 + 4 * 0.4) / 1e6)


@pytest.mark.parametrize(
    ("kept", "reads", "writes"),
    [
        ([], 0, 0),
        (["server"], 1, 1),  # by the aggregator
        (["client", "server", "shared"], 2 * 9 + 1, 9 + 1),  # by nine clients and the aggregator
    ],
)
def test_states_of_a_strategy_are_read_and_written(
    tables: Tables, book_maker: Maker, kept: list[str], reads: int, writes: int
) -> None:
    book, calls = book_maker(store_on="operations"), tables["invocations"]
    calls.loc[calls["client_id"].eq(0), "function"] = "aggregator"
    before = items(price(tables, book), "openwhisk-0", 2)["store"]
    tables["runs"]["kept_states"] = json.dumps(kept)
    found = items(price(tables, book), "openwhisk-0", 2)["store"]
    assert found - before == pytest.approx((5.0 * writes + 0.4 * reads) / 1e6)


def test_the_free_tier_is_off_unless_asked_for(tables: Tables, book_maker: Maker) -> None:
    free = {"free_gb_s": 9.0, "free_requests": 1e6}  # of 18 GB-s in three rounds
    paid, allowed = book_maker(function=free), book_maker(function=free, free_tier=True)
    assert items(price(tables, paid), "openwhisk-0", 2)["functions"] == pytest.approx(7e-5)
    assert items(price(tables, allowed), "openwhisk-0", 2)["functions"] == pytest.approx(3e-5)
    enough = book_maker(function={"free_gb_s": 1e9, "free_requests": 1e9}, free_tier=True)
    assert items(price(tables, enough), "openwhisk-0", 2)["functions"] == 0.0


def test_a_price_that_nobody_has_seen_is_null_and_out_of_the_sums(tables: Tables, book_maker: Maker) -> None:
    book = book_maker()
    unknown = replace(book, egress=replace(book.egress, per_gb=None))
    bill = price(tables, unknown)
    assert bill.loc[bill["item"] == "egress", "usd"].isna().all()
    both = [per_scenario({**tables, COST: price(tables, each)}).set_index("run_id") for each in (book, unknown)]
    assert (both[0]["usd"] - both[1]["usd"]).tolist() == pytest.approx([3 * EGRESS] * 3)
    no_function = replace(book, function=replace(book.function, per_gb_s=None))
    found = per_scenario({**tables, COST: price(tables, no_function)}).set_index("run_id")
    assert math.isnan(found.loc["openwhisk-0", "usd"])
    assert found.loc["flower-0", "usd"] > 0


def test_every_row_names_its_source(tables: Tables, book_maker: Maker) -> None:
    bill = price(tables, book_maker())
    assert set(bill.loc[bill["item"] == "functions", "source"]) == {"an invented list, 2020-01-01"}
    assert set(bill.loc[bill["item"] == "vm", "source"]) == {"an invented machine list, 2020-01-02"}
    assert bill["source"].str.len().gt(0).all()


def test_kpis_are_sums_of_the_bill(tables: Tables, book_maker: Maker) -> None:
    bill = price(tables, book_maker())
    found = headline({**tables, COST: bill}).set_index("run_id")
    mine = bill[bill["run_id"] == "openwhisk-0"]
    assert found.loc["openwhisk-0", "usd"] == pytest.approx(mine["usd"].sum())
    assert found.loc["openwhisk-0", "usd_per_round"] == pytest.approx(mine.query("server_round > 0")["usd"].sum() / 3)
    assert tables["runs"].set_index("run_id").loc["openwhisk-0", "rounds_to_target"] == 2
    assert found.loc["openwhisk-0", "usd_to_target"] == pytest.approx(mine.query("server_round <= 2")["usd"].sum())
    best = tables["runs"]["best_test_accuracy"].iloc[0]
    assert found.loc["openwhisk-0", "accuracy_per_usd"] == pytest.approx(best / mine["usd"].sum())


def test_a_target_that_was_not_reached_costs_more_than_was_spent(tables: Tables, book_maker: Maker) -> None:
    tables["runs"]["rounds_to_target"] = None
    runs = per_run({**tables, COST: price(tables, book_maker())})
    assert runs["is_censored"].all()
    assert runs["usd_to_target"].tolist() == pytest.approx(runs["usd"].tolist())


def test_without_a_bill_costs_are_unknown(tables: Tables) -> None:
    del tables[COST]
    assert per_run(tables)[["usd", "usd_per_round"]].isna().all(axis=None)


def test_no_runs_are_an_empty_bill(tables: Tables, book_maker: Maker) -> None:
    none = {name: frame.iloc[:0] for name, frame in tables.items()}
    assert price(none, book_maker()).empty
    assert list(price(none, book_maker()).columns) == COLUMNS


def test_at_the_break_even_an_hour_costs_the_same(tables: Tables, book_maker: Maker) -> None:
    found = break_evens({**tables, COST: price(tables, book_maker())}).set_index("vm_backend").loc["flower"]
    vm_hour = found["vm_usd_per_hour"] + found["rounds_per_hour"] * found["vm_usd_per_round"]
    functions_hour = found["function_usd_per_hour"] + found["rounds_per_hour"] * found["function_usd_per_round"]
    assert vm_hour == pytest.approx(functions_hour)
    assert found["vm_usd_per_hour"] == pytest.approx(101 * 0.36)
    assert found["function_usd_per_round"] == pytest.approx(7e-5 + EGRESS)
    assert found["busy_share"] == pytest.approx(found["rounds_per_hour"] * found["vm_round_s"] / 3600)
    # both sides pay the same controller and the same egress: the machines' hour against the functions' round
    assert found["rounds_per_hour"] == pytest.approx(100 * 0.36 / 7e-5)


def test_dearer_functions_break_even_earlier(tables: Tables, book_maker: Maker) -> None:
    shares = [
        break_evens({**tables, COST: price(tables, book_maker(function={"per_gb_s": per_gb_s}))})["busy_share"].iloc[0]
        for per_gb_s in (1e-5, 2e-5, 1e-3)
    ]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 3


def test_pairs_are_of_one_seed(make_experiment: Callable[..., Path], book_maker: Maker) -> None:
    tables: Any = load(make_experiment(seeds=(0, 1)))
    found = break_evens({**tables, COST: price(tables, book_maker())})
    assert sorted(zip(found["vm_backend"], found["seed"], strict=True)) == [
        ("flower", 0),
        ("flower", 1),
        ("inprocess", 0),
        ("inprocess", 1),
    ]


def test_invokers_are_an_item_of_their_own_and_hold_up_their_round(tables: Tables, book_maker: Maker) -> None:
    calls = tables["invocations"]
    clients = calls[calls["run_id"] == "openwhisk-0"]
    invokers = clients.assign(
        function="invoker", provider_s=clients["provider_s"] + 0.2, memory_limit_bytes=128 * 2**20
    )
    relayed = {**tables, "invocations": pd.concat([calls, invokers], ignore_index=True)}
    plain = price(tables, book_maker())
    found = price(relayed, book_maker())
    invoked = 10 * (0.8 * 1e-5 / 8 + 1e-6)  # 0.75 s are eight steps
    assert items(found, "openwhisk-0", 2)["invokers"] == pytest.approx(invoked)
    assert items(found, "openwhisk-0", 2)["functions"] == items(plain, "openwhisk-0", 2)["functions"]
    assert items(found, "openwhisk-0", 2)["egress"] == items(plain, "openwhisk-0", 2)["egress"]
    held = [bill.query("run_id == 'openwhisk-0' and server_round == 2")["held_s"].iloc[0] for bill in (plain, found)]
    assert held[1] - held[0] == pytest.approx(0.2)


def test_each_group_of_a_fabric_has_its_own_price(tables: Tables, book_maker: Maker) -> None:
    calls = tables["invocations"]
    mine = calls["run_id"] == "openwhisk-0"
    calls["fabric_group"] = calls["fabric_group"].astype("object")
    calls.loc[mine, "fabric_group"] = ["edge" if client < 4 else "cloud" for client in calls.loc[mine, "client_id"]]
    aggregator = calls[mine].iloc[[-1]].assign(function="aggregator", client_id=None, fabric_group=None)
    fabric = {**tables, "invocations": pd.concat([calls, aggregator], ignore_index=True)}
    book = book_maker()
    twice = replace(book.function, per_gb_s=2e-5, source="a dear list")
    cloud = PlacePrice(group="cloud", pricing="dear", function=twice, has_aggregator=True)
    free = PlacePrice(group="edge", pricing=OWN_BOARD, function=OWN_BOARDS_PRICE)
    bill = price(fabric, replace(book, places=(free, cloud)))
    rows = bill.query("run_id == 'openwhisk-0' and server_round == 3").set_index(["item", "fabric_group"])
    assert rows.loc[("functions", "edge"), "usd"] == 0.0
    assert rows.loc[("functions", "cloud"), "usd"] == pytest.approx(6 * (0.6 * 2e-5 + 1e-6))
    assert rows.loc[("aggregator", "cloud"), "usd"] == pytest.approx(0.6 * 2e-5 + 1e-6)
    assert rows.loc[("functions", "cloud"), "source"].startswith("dear: a dear list")
    told = usd_by_place({**fabric, COST: bill}).set_index("place")["usd_per_round"]
    assert told["edge"] == 0.0
    assert told["cloud"] == pytest.approx((3 * 6 + 1) * (0.6 * 2e-5 + 1e-6) / 3)
    whole = per_scenario({**fabric, COST: bill}).set_index("run_id")["usd"]
    assert whole["openwhisk-0"] == pytest.approx(bill.loc[bill["run_id"] == "openwhisk-0", "usd"].sum())


def test_a_group_without_a_known_price_leaves_the_whole_unknown(tables: Tables, book_maker: Maker) -> None:
    tables["invocations"]["fabric_group"] = "edge"
    book = book_maker()
    nobody_knows = replace(book.function, per_gb_s=None)
    bill = price(tables, replace(book, places=(PlacePrice(group="edge", pricing="?", function=nobody_knows),)))
    assert per_scenario({**tables, COST: bill}).set_index("run_id")["usd"].isna()["openwhisk-0"]
