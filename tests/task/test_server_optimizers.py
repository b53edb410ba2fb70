"""The laws of a step of a server optimizer; what Flower's own make of the same is in tests/baselines/flower."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from task.aggregation import Aggregation
from task.job import StrategySpec
from task.strategies import strategy_of
from task.weights import sha256
from tests.support.server_optimizers import JOB, JOBS, START, near


def step(job, start, state, updates):
    aggregation = Aggregation(job, start, state)
    for update, num_examples in updates:
        aggregation.add(update, num_examples)
    return aggregation.result(), aggregation.state


@pytest.mark.parametrize("name", JOBS)
def test_the_same_round_done_twice_steps_once(name):
    """An answer that was lost, or a keeper that was killed: the aggregation is made again from what was before it."""
    weights, state = step(JOBS[name], START, None, [(near(START, 1), 5), (near(START, 2), 7)])
    kept = sha256(state)
    once, again = (step(JOBS[name], weights, state, [(near(weights, 3), 5), (near(weights, 4), 7)]) for _ in range(2))
    assert sha256(state) == kept
    assert [sha256(one) for one in once] == [sha256(one) for one in again]
    assert once[1]["step"] == 2


def test_without_momentum_and_at_rate_1_it_is_fedavg():
    job = replace(JOB, strategy=StrategySpec("fedavgm", eta=1.0, momentum=0.0))
    updates = [(near(START, client), 10 * client) for client in (1, 2, 3)]
    (weights, _), (expected, nothing) = step(job, START, None, updates), step(JOB, START, None, updates)
    assert nothing == {}
    for name, array in expected.items():
        np.testing.assert_allclose(weights[name], array, rtol=0, atol=1e-7)


def one_array(job, start, updates):
    """A step of one array alone; each update stands for as many examples as its number says."""
    strategy = strategy_of(job.strategy)
    slots = {f"w/{slot}": np.zeros_like(start) for slot in strategy.slots}
    strategy.begin(job, {"w": start}, {"step": np.float32(0), **slots})
    for number, update in updates:
        strategy.add({"w": update}, number)
    return strategy.result()["w"], strategy.state


finite = st.floats(-100, 100, width=32)
vectors = arrays(np.float32, 4, elements=finite)


@pytest.mark.parametrize("name", JOBS)
@given(start=vectors, update=vectors, numbers=st.lists(st.integers(1, 6000), min_size=1, max_size=5))
def test_equal_updates_give_the_step_that_the_formula_says(name, start, update, numbers):
    found, state = one_array(JOBS[name], start, [(number, update) for number in numbers])
    delta = update.astype(np.float64) - start
    if name == "fedavgm":
        change, expected = 0.7 * delta, {"velocity": delta}
    else:
        rate = 0.1 * (np.sqrt(1 - 0.99**2) / (1 - 0.9**2) if name == "fedadam" else 1.0)
        expected = {"m": 0.1 * delta, "v": 0.01 * delta**2}
        change = rate * expected["m"] / (np.sqrt(expected["v"]) + 1e-3)
    np.testing.assert_allclose(found, start + change, rtol=1e-5, atol=1e-4)
    for slot, array in expected.items():
        np.testing.assert_allclose(state[f"w/{slot}"], array, rtol=1e-4, atol=1e-4)
    if np.array_equal(start, update):
        np.testing.assert_array_equal(found, start)


@pytest.mark.parametrize("name", JOBS)
@given(start=vectors, updates=st.lists(st.tuples(st.integers(1, 6000), vectors), min_size=2, max_size=5))
def test_the_order_of_clients_does_not_matter_beyond_rounding(name, start, updates):
    found, backwards = (one_array(JOBS[name], start, order)[0] for order in (updates, updates[::-1]))
    np.testing.assert_allclose(found, backwards, rtol=1e-5, atol=1e-5)


def test_a_strategy_with_a_state_needs_the_global_weights_also_without_a_bound():
    with pytest.raises(ValueError, match="a strategy with a state cannot step"):
        Aggregation(replace(JOBS["fedyogi"], max_update_norm=None), None)
