"""When a round is closed: laws of the policies, for any number of clients that deliver, fail, or keep silent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless.rounds.round_policies import Deadline, FirstK, Tally, WaitAll, is_hopeless

COUNTS = st.integers(1, 12)
POLICIES = st.one_of(
    st.just(WaitAll()),
    st.builds(FirstK, COUNTS),
    st.builds(Deadline, st.floats(0.1, 100), COUNTS),
)


@st.composite
def tallies(draw):
    invited = draw(COUNTS)
    arrived = draw(st.integers(0, invited))
    return Tally(invited, arrived, draw(st.integers(0, invited - arrived)), draw(st.floats(0, 200)))


@given(POLICIES, tallies())
def test_a_round_is_never_closed_with_less_than_it_needs(policy, tally):
    assert not policy.is_closed(tally) or tally.arrived >= policy.needs(tally.invited)


@given(POLICIES, tallies())
def test_once_all_have_answered_a_round_is_either_closed_or_hopeless(policy, tally):
    closed, hopeless = policy.is_closed(tally), is_hopeless(policy, tally)
    assert not (closed and hopeless)
    assert tally.outstanding > 0 or closed or hopeless


@given(POLICIES, tallies(), st.floats(0, 100))
def test_a_closed_round_stays_closed_and_a_hopeless_one_hopeless(policy, tally, seconds):
    later = Tally(tally.invited, tally.arrived, tally.failed, tally.elapsed_s + seconds)
    assert policy.is_closed(later) or not policy.is_closed(tally)
    if tally.outstanding:
        more = Tally(tally.invited, tally.arrived + 1, tally.failed, tally.elapsed_s)
        assert policy.is_closed(more) or not policy.is_closed(tally)
        assert is_hopeless(policy, more) or not is_hopeless(policy, tally)


@given(st.builds(Deadline, st.floats(0.1, 100), COUNTS), tallies())
def test_before_its_deadline_a_round_waits_for_whoever_may_still_answer(policy, tally):
    if tally.elapsed_s < policy.deadline_s and tally.outstanding:
        assert not policy.is_closed(tally)


@given(st.builds(Deadline, st.floats(0.1, 100), COUNTS), tallies())
def test_after_its_deadline_a_round_waits_for_the_minimum_only(policy, tally):
    if tally.elapsed_s >= policy.deadline_s:
        assert policy.is_closed(tally) == (tally.arrived >= policy.min_updates)


def test_failures_are_done_without_as_long_as_enough_can_come():
    assert not is_hopeless(FirstK(2), Tally(4, arrived=1, failed=2))
    assert is_hopeless(FirstK(2), Tally(4, arrived=1, failed=3))
    assert is_hopeless(WaitAll(), Tally(4, arrived=3, failed=1))
    assert is_hopeless(FirstK(5), Tally(4))


@pytest.mark.parametrize("make", [lambda: FirstK(0), lambda: Deadline(0, 1), lambda: Deadline(1, 0)])
def test_a_policy_that_waits_for_nothing_is_refused(make):
    with pytest.raises(ValueError, match="1"):
        make()


def test_a_policy_says_what_it_is():
    assert [str(policy) for policy in (WaitAll(), FirstK(3), Deadline(1.5, 2))] == [
        "wait_all",
        "first_k (k=3)",
        "deadline (1.5 s, 2 updates at least)",
    ]
