"""CPU seconds from rates: each window once, and of the first one what lies in the run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless.cluster.pods import Pod
from serverless.cluster.usage import PodUsage, UsageAccount, go_duration_s


def a_pod(name="p", role="client", is_running=True):
    return Pod("ns", name, role, is_running, None, 2**30, {})


def a_usage(at, window_s, cpu_cores, name="p"):
    return PodUsage(("ns", name), at, window_s, cpu_cores, 100)


@given(
    readings=st.lists(st.tuples(st.floats(0.1, 60), st.floats(0, 64)), min_size=1, max_size=20),
    looks=st.lists(st.integers(1, 4), min_size=20, max_size=20),
)
def test_windows_that_adjoin_add_up_to_the_counter_however_often_each_is_served(readings, looks):
    """The counter of a container grows by rate x window; the account finds the sum again."""
    account, at, counter = UsageAccount(started_at=1000.0), 1000.0, 0.0
    for (window_s, rate), times in zip(readings, looks, strict=False):
        at, counter = at + window_s, counter + rate * window_s
        for _ in range(times):
            (row,) = account.rows("r", at, [a_pod()], [a_usage(at, window_s, rate)])
    assert row.cpu_s == pytest.approx(counter)


def test_a_window_that_began_before_the_run_counts_from_its_start():
    (row,) = UsageAccount(started_at=1000.0).rows("r", 1005.0, [a_pod()], [a_usage(1005.0, 15.0, 2.0)])
    assert row.cpu_s == 10.0


def test_a_window_that_ended_before_the_run_counts_nothing():
    (row,) = UsageAccount(started_at=1000.0).rows("r", 1005.0, [a_pod()], [a_usage(999.0, 15.0, 2.0)])
    assert row.cpu_s == 0.0


def test_a_role_keeps_its_seconds_when_its_pods_are_gone():
    account = UsageAccount(started_at=0.0)
    account.rows("r", 15.0, [a_pod()], [a_usage(15.0, 15.0, 1.0)])
    (row,) = account.rows("r", 30.0, [], [])
    assert (row.cpu_s, row.processes, row.rss_bytes, row.requested_memory_bytes) == (15.0, 0, 0, None)


def test_usage_of_a_pod_that_is_over_or_unknown_is_left_out():
    account = UsageAccount(started_at=0.0)
    pods = [a_pod("done", is_running=False)]
    assert account.rows("r", 15.0, pods, [a_usage(15.0, 15.0, 1.0, "done"), a_usage(15.0, 15.0, 1.0, "alien")]) == []


@pytest.mark.parametrize("text", ["", "15", "s", "1x", "-3s", "1m 2s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        go_duration_s(text)
