"""Simulated poisoners: who they are, and what they send."""

from dataclasses import replace

import numpy as np
import pytest

from task.job import FederatedJob, PoisonSpec
from task.poison import poisoned, poisoners

JOB = FederatedJob(poison=PoisonSpec(0.3, "sign_flip", 2.0), seed=5)
START, TRAINED = {"w": np.float32([1, 2])}, {"w": np.float32([1.5, 1.0])}
ONE = min(poisoners(JOB))


def test_the_share_is_drawn_once_by_the_seed():
    assert len(poisoners(JOB)) == 30
    assert poisoners(JOB) == poisoners(replace(JOB, rounds=9)) != poisoners(replace(JOB, seed=6))


def test_an_honest_client_and_a_run_without_poisoners_send_what_was_learnt():
    honest = next(client for client in range(100) if client not in poisoners(JOB))
    assert poisoned(JOB, honest, 1, START, TRAINED) is TRAINED
    assert poisoned(FederatedJob(seed=5), ONE, 1, START, TRAINED) is TRAINED


@pytest.mark.parametrize(("attack", "sent"), [("sign_flip", [0.0, 4.0]), ("constant", [3.0, 4.0])])
def test_an_attack_replaces_the_difference(attack, sent):
    job = replace(JOB, poison=PoisonSpec(0.3, attack, 2.0))
    found = poisoned(job, ONE, 1, START, TRAINED)["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(sent))


def test_noise_is_decided_by_seed_client_and_round():
    job = replace(JOB, poison=PoisonSpec(0.3, "gaussian", 1e-3))
    first, again, later = (poisoned(job, ONE, number, START, TRAINED)["w"] for number in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != later).all()
    assert np.abs(first - START["w"]).max() < 0.01
