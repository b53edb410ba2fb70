"""Strategies: their formulas, against plain ones, and what poisoned updates can do to them."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from task.aggregation import Aggregation
from task.job import FederatedJob, StrategySpec
from task.strategies import STRATEGIES, bytes_in_memory, strategy_of

finite = st.floats(-1e3, 1e3, width=32)
updates = st.integers(5, 9).flatmap(lambda number: arrays(np.float32, (number, 4), elements=finite))
SPECS = [
    StrategySpec(),
    StrategySpec("median"),
    StrategySpec("trimmed_mean", beta=0.2),
    StrategySpec("krum", f=1, m=1),
    StrategySpec("krum", f=1, m=3),
]


def result(spec, stacked):
    strategy = strategy_of(spec)
    for number, update in enumerate(stacked):
        strategy.add({"w": update}, num_examples=number + 1)
    return strategy.result()["w"]


@given(updates)
def test_the_median_is_that_of_numpy(stacked):
    expected = np.median(stacked.astype(np.float64), axis=0)
    np.testing.assert_array_equal(result(StrategySpec("median"), stacked), expected.astype(np.float32))


@given(updates, st.floats(0, 0.49))
def test_the_trimmed_mean_leaves_out_as_many_at_both_ends(stacked, beta):
    cut = int(beta * len(stacked) + 1e-9)
    expected = np.sort(stacked.astype(np.float64), axis=0)[cut : len(stacked) - cut].mean(axis=0)
    found = result(StrategySpec("trimmed_mean", beta=beta), stacked)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-30)


def test_a_share_that_is_whole_updates_is_not_rounded_down_to_fewer():
    stacked = np.arange(30, dtype=np.float32).reshape(30, 1) ** 2
    expected = np.mean(np.arange(3, 27, dtype=np.float64) ** 2)
    assert result(StrategySpec("trimmed_mean", beta=0.1), stacked) == np.float32(expected)


@given(updates, st.integers(1, 4))
def test_krum_is_the_algorithm_of_the_paper(stacked, m):
    number, f = len(stacked), 1
    wide = stacked.astype(np.float64)
    scores = []
    for one in range(number):
        distances = sorted(np.sum((wide[one] - wide[other]) ** 2) for other in range(number) if other != one)
        scores.append(sum(distances[: number - f - 2]))
    found = result(StrategySpec("krum", f=f, m=m), stacked)
    best = np.sort(scores)[:m]
    if np.unique(np.round(scores, 3)).size == number:  # no ties, which rounding may break otherwise
        chosen = wide[sorted(np.argsort(scores)[:m])]
        np.testing.assert_allclose(found, chosen.mean(axis=0), rtol=1e-6, atol=1e-30)
    assert len(best) == m


def test_of_equal_scores_the_lower_client_wins():
    stacked = np.float32([[2.0], [1.0], [2.0], [1.0], [2.0]])
    assert result(StrategySpec("krum", f=1, m=1), stacked) == np.float32([2.0])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_equal_updates_give_themselves_in_float32(spec):
    stacked = np.tile(np.float32([1.5, -2.25, 0.0, 3e-5]), (6, 1))
    found = result(spec, stacked)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, stacked[0])


@pytest.mark.parametrize("spec", SPECS[1:4], ids=str)
def test_one_poisoned_update_of_five_moves_no_robust_strategy_beyond_the_honest_ones(spec):
    stacked = np.float32([[1.0], [1.1], [1.2], [1.3], [3e38]])
    assert 1.0 <= result(spec, stacked)[0] <= 1.3
    assert result(StrategySpec(), stacked)[0] > 1e37


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("trimmed_mean", {"beta": 0.5}),
        ("trimmed_mean", {"beta": -0.1}),
        ("krum", {"f": -1, "m": 1}),
        ("krum", {"f": 1, "m": 0}),
    ],
)
def test_a_parameter_out_of_its_bounds_is_refused(name, wrong):
    with pytest.raises(ValueError, match="must be"):
        strategy_of(StrategySpec(name, **wrong))


def test_a_job_takes_its_strategy_through_json():
    job = FederatedJob(strategy=SPECS[4], max_update_norm=None)
    assert FederatedJob.from_dict(job.to_dict()) == job
    older = {key: value for key, value in job.to_dict().items() if key not in ("strategy", "max_update_norm")}
    assert FederatedJob.from_dict(older) == FederatedJob()


def test_every_strategy_says_whether_it_keeps_all_updates_and_fedavg_does_not():
    assert {name: strategy.keeps_updates for name, strategy in STRATEGIES.items()} == {
        "fedavg": False,
        "median": True,
        "trimmed_mean": True,
        "krum": True,
        "fedprox": False,
        "fedavgm": False,
        "fedadam": False,
        "fedyogi": False,
        "scaffold": False,
    }


def test_the_aggregation_uses_the_strategy_of_the_job():
    start = {"w": np.float32([0.0])}
    aggregation = Aggregation(replace(FederatedJob(), strategy=StrategySpec("median")), start)
    for value in (1.0, 2.0, 30.0):
        aggregation.add({"w": np.float32([value])}, 5)
    assert aggregation.result()["w"] == np.float32([2.0])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.name}-{spec.beta}-{spec.f}-{spec.m}")
@pytest.mark.parametrize("updates", [7, 40])
def test_what_a_strategy_takes_in_memory_is_not_more_than_is_said(spec, updates):
    def update(number):
        return {"w": np.full((400, 100), number, np.float32), "b": np.full(5000, number, np.float32)}

    model_bytes = sum(array.nbytes for array in update(0).values())
    tracemalloc.start()
    strategy = strategy_of(spec)
    for number in range(updates):
        strategy.add(update(number), 5)
    strategy.result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    said = bytes_in_memory(spec.name, updates, model_bytes)
    assert peak < said + 100_000
    if strategy.keeps_updates:
        assert said / 3 < peak
