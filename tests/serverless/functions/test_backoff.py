"""Waits between attempts: growing, bounded, never the same for two."""

from hypothesis import given
from hypothesis import strategies as st

from serverless.functions.backoff import attempts, jittered_s

seconds = st.floats(0.001, 100)


class Clock:
    """Time that passes only by sleeping, and by how long each attempt takes."""

    def __init__(self, attempt_s):
        self.now, self.attempt_s, self.rests = 0.0, attempt_s, []

    def __call__(self):
        self.now += self.attempt_s
        return self.now

    def sleep(self, rest_s):
        self.rests.append(rest_s)
        self.now += rest_s


@given(seconds, seconds, seconds, st.floats(0.01, 10))
def test_no_attempt_begins_when_the_patience_is_over_and_the_waits_keep_to_their_bounds(
    patience_s, first_s, longest_s, attempt_s
):
    clock = Clock(attempt_s)
    numbers = []
    for number in attempts(patience_s, first_s, longest_s, clock=clock, sleep=clock.sleep):
        numbers.append(number)
        assert clock.now <= patience_s + attempt_s
    assert numbers == list(range(1, len(numbers) + 1))
    for place, rest_s in enumerate(clock.rests):
        usual = min(longest_s, first_s * 2 ** min(place, 30))
        assert 0.5 * usual <= rest_s <= 1.5 * usual


@given(st.integers(1, 10_000))
def test_waits_are_finite_however_many_there_were(number):
    assert 0 < jittered_s(number, 0.2) <= 7.5


def test_two_that_were_refused_together_do_not_come_back_together():
    assert len({jittered_s(3, 1.0) for _ in range(20)}) > 10
