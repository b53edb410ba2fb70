"""The draws that need no measurement."""

from dataclasses import replace

import pytest

from task.job import FederatedJob
from task.selection import select_clients

JOB = FederatedJob(clients=20, clients_per_round=5, seed=3)


def test_random_draws_anew_and_fixed_keeps_the_first_draw():
    random = [select_clients(JOB, number) for number in range(1, 6)]
    fixed = [select_clients(replace(JOB, selection="fixed"), number) for number in range(1, 6)]
    assert len(set(random)) == 5
    assert set(fixed) == {random[0]}


def test_what_depends_on_durations_is_no_draw():
    with pytest.raises(ValueError, match="fastest_mix"):
        select_clients(replace(JOB, selection="fastest_mix"), 1)


def test_a_job_that_knew_no_selection_is_the_random_one():
    values = JOB.to_dict()
    del values["selection"]
    assert FederatedJob.from_dict(values) == JOB
