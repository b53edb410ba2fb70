"""Whether the weights agree is judged round by round, over what all runs have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.analysis.checks.weight_agreement import Agreement, agreement_lines, agreements
from metrics.collect.tables import load

Makers = dict[str, Callable[..., Any]]


def history(makers: Makers, **digests: str) -> dict[str, pd.DataFrame]:
    """Runs by backend; each letter of a digest stands for the weights after a round."""
    runs, rounds = [], []
    for backend, letters in digests.items():
        mine = [
            makers["rounds"](backend, number, weights_sha256=letter * 64) for number, letter in enumerate(letters, 1)
        ]
        runs.append(makers["runs"](backend, mine, backend=backend, max_rounds=9))
        rounds += mine
    return {"runs": pd.DataFrame(runs), "rounds": pd.DataFrame(rounds)}


def test_equal_weights_in_every_round_agree(row_makers: Makers) -> None:
    (found,) = agreements(history(row_makers, inprocess="abc", flower="abc", openwhisk="abc"))
    assert found.identical
    assert found.rounds == 3
    assert set(found.weights_sha256) == {"inprocess", "flower", "openwhisk"}
    assert str(found) == (
        "seed 0: identical weights on inprocess, flower and openwhisk after each of 3 rounds (cccccccccccc)"
    )


def test_the_first_difference_is_named_even_if_later_rounds_agree(row_makers: Makers) -> None:
    (found,) = agreements(history(row_makers, inprocess="abcd", flower="axyd"))
    assert found.identical is False
    assert found.first_difference == 2
    assert "weights DIFFER from round 2 on; after round 4: inprocess dddddddddddd, flower dddddddddddd" in str(found)


def test_a_run_that_was_cut_short_is_compared_as_far_as_it_came(row_makers: Makers) -> None:
    (found,) = agreements(history(row_makers, inprocess="abcd", flower="ab"))
    assert found.identical
    assert (found.rounds, found.weights_sha256["inprocess"]) == (2, "b" * 64)


@pytest.mark.parametrize(
    "policy", [{"name": "first_k", "k": 3}, {"name": "deadline", "deadline_s": 60.0, "min_updates": 2}]
)
def test_functions_that_close_rounds_early_are_not_expected_to_agree_with_those_who_wait(
    row_makers: Makers, policy: dict[str, Any]
) -> None:
    tables = history(row_makers, inprocess="ab", flower="ab", openwhisk="ax")
    tables["runs"]["config"] = json.dumps({"round_policy": policy})
    tables["runs"]["platform"] = [None, None, "openwhisk"]
    waiting, early = agreements(tables)
    assert (waiting.identical, set(waiting.weights_sha256)) == (True, {"inprocess", "flower"})
    assert (early.identical, set(early.weights_sha256)) == (None, {"openwhisk"})
    assert str(early).endswith("openwhisk xxxxxxxxxxxx: rounds closed early average other updates each time")


def functions_closing_after(k: int, makers: Makers) -> dict[str, pd.DataFrame]:
    """Flower and functions that close a round after ``k`` of ten updates."""
    tables = history(makers, flower="ab", openwhisk="ab")
    tables["runs"]["config"] = json.dumps({"round_policy": {"name": "first_k", "k": k}})
    tables["runs"]["platform"] = [None, "openwhisk"]
    return tables


def test_the_first_ten_of_ten_are_all_and_have_to_agree(row_makers: Makers) -> None:
    (found,) = agreements(functions_closing_after(10, row_makers))
    assert found.identical


def test_who_only_has_early_closers_beside_it_is_left_out(row_makers: Makers) -> None:
    (found,) = agreements(functions_closing_after(9, row_makers))
    assert set(found.weights_sha256) == {"openwhisk"}
    assert found.identical is None


@pytest.mark.parametrize("digests", [{"inprocess": "a" * 64}, {"inprocess": "a" * 64, "flower": "a" * 64}])
def test_many_of_a_kind_are_told_in_one_line_and_what_differs_is_always_named(digests: dict[str, str]) -> None:
    many = [Agreement("", seed, 1, digests, None) for seed in range(4)]
    differing = Agreement("", 9, 2, {"inprocess": "a" * 64, "flower": "b" * 64}, 2)
    lines = agreement_lines([*many, differing])
    assert len(lines) == 2
    assert lines[1] == (str(differing), False)
    assert len(agreement_lines([*many[:3], differing])) == 4


def test_one_run_alone_agrees_with_nobody(row_makers: Makers) -> None:
    (found,) = agreements(history(row_makers, inprocess="ab"))
    assert found.identical is None
    assert str(found) == "seed 0: inprocess bbbbbbbbbbbb, nothing to compare it with"
    (nothing,) = agreements(
        history(row_makers, inprocess="ab", flower="")
        | {"rounds": pd.DataFrame([row_makers["rounds"]("somebody else", 1)])}
    )
    assert nothing.identical is None
    assert "no round finished" in str(nothing)


def test_seeds_are_compared_apart(make_experiment: Callable[..., Path]) -> None:
    found = agreements(load(make_experiment(seeds=range(5), rounds=2)))
    assert [(agreement.seed, agreement.identical) for agreement in found] == [(seed, True) for seed in range(5)]
    assert agreement_lines(found) == [
        ("identical weights on all systems in 5 comparisons (seeds × cells), 10 rounds in all", True)
    ]
    assert [line for line, _ in agreement_lines(found[:2])] == [str(agreement) for agreement in found[:2]]


def test_a_difference_is_never_lost_among_many_agreements(
    make_experiment: Callable[..., Path], row_makers: Makers
) -> None:
    many = agreements(load(make_experiment(seeds=range(5), rounds=2)))
    (different,) = agreements(history(row_makers, inprocess="ab", flower="ax"))
    assert (str(different), False) in agreement_lines([*many, different])
