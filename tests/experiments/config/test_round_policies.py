"""Round policies from a configuration: what functions are told, and what the other backends do not hear of."""

import pytest

from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from experiments.config.plan import run_id
from machine.resources import usable_memory_bytes
from serverless.rounds.round_policies import Deadline, FirstK, WaitAll

FIRST_K = ("round_policy=first_k", "round_policy.k=3")
DEADLINE = ("round_policy=deadline", "round_policy.deadline_s=2.5", "round_policy.min_updates=2")


def compose(*words):
    (cell,) = compose_cells(["+exp=quickstart", "clients_per_round=4", "workers=2", *words])
    return cell.config


def made(tmp_path, *words):
    return BACKENDS["openwhisk"].settings(compose(*words), tmp_path)


@pytest.mark.parametrize(
    ("words", "policy", "in_flight"),
    [
        ((), WaitAll(), 2),
        (FIRST_K, FirstK(3), 4),
        (DEADLINE, Deadline(2.5, 2), 4),
        ((*FIRST_K, "platform.in_flight=1"), FirstK(3), 1),
    ],
)
def test_functions_that_do_not_wait_for_all_are_invoked_all_at_once(tmp_path, words, policy, in_flight):
    settings = made(tmp_path, *words)
    assert (settings.policy, settings.in_flight) == (policy, in_flight)


def test_the_embedded_server_has_room_for_the_clients_of_two_rounds(tmp_path):
    words = ("platform.client.memory_mb=128", "platform.aggregator.memory_mb=256")
    assert made(tmp_path, *FIRST_K, *words).platform.pool_memory_mb == 2 * 4 * 128 + 256
    assert made(tmp_path, *words).platform.pool_memory_mb == 2 * 128 + 256
    assert made(tmp_path, *FIRST_K, "platform.pool_memory_mb=4096").platform.pool_memory_mb == 4096


def test_the_embedded_server_does_not_promise_more_than_the_machine_has(tmp_path):
    crowd = made(tmp_path, *FIRST_K, "clients_per_round=100", "platform.client.memory_mb=100000")
    assert crowd.platform.pool_memory_mb == 100_000 + crowd.aggregator.memory_mb
    many = made(tmp_path, *FIRST_K, "clients_per_round=100", "platform.client.memory_mb=1024")
    assert many.platform.pool_memory_mb <= max(2048, usable_memory_bytes() / 2**20)


def test_a_policy_makes_another_run_of_functions_and_the_same_run_of_the_others():
    early, waiting = compose(*FIRST_K), compose()
    assert run_id(early, "openwhisk", 0) != run_id(waiting, "openwhisk", 0)
    for backend in ("inprocess", "flower"):
        assert run_id(early, backend, 0) == run_id(waiting, backend, 0)
