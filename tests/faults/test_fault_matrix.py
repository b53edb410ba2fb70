"""Each fault under each policy: the run goes on, and learns exactly what its counted updates say."""

from __future__ import annotations

from typing import Any

import pytest

from serverless.rounds.round_policies import Deadline, FirstK, RoundPolicy, WaitAll
from tests.faults.cases import CASES, Case
from tests.faults.laws import assert_nothing_was_lost_or_doubled
from tests.faults.matrix import Matrix
from tests.faults.world import World

POLICIES: dict[str, RoundPolicy] = {
    "wait_all": WaitAll(),
    "first_k (2 of 3)": FirstK(2),
    "deadline (1 s, 2 of 3)": Deadline(deadline_s=1.0, min_updates=2),
}

EXAMPLES = ("502 after the function ran", "update is truncated", "store is busy (503)")  # platform, function, store


def _marked(case: Case, policy: str) -> Any:
    is_example = case.name in EXAMPLES and policy == "wait_all"
    return pytest.param(case, policy, marks=() if is_example else pytest.mark.fault, id=f"{case.name}-{policy}")


@pytest.mark.parametrize(("case", "policy"), [_marked(case, policy) for policy in POLICIES for case in CASES])
def test_whatever_goes_wrong_every_counted_update_is_averaged_once_and_no_other(
    world: World, matrix: Matrix, case: Case, policy: str
) -> None:
    day = world.live(case, POLICIES[policy])
    assert day.happened, "the fault did not happen"
    assert_nothing_was_lost_or_doubled(day, world.mnist, POLICIES[policy])
    if policy == "wait_all":
        assert set(case.kinds) <= set(day.invocations.error_kind.dropna())
        assert day.invocations.attempt.max() == 1 or not case.once
    matrix.add(case.name, policy, day)
