"""Who invokes clients, as configurations choose it: what it becomes, and what is told before any work."""

import pytest

from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.plan import run_id
from machine.resources import usable_memory_bytes

BASE = ("+exp=quickstart", "workers=2", "backends=[openwhisk]")
FEDKEEPER = "topology=fedkeeper"


def config(*words):
    (cell,) = compose_cells([*BASE, *words])
    return cell.config


def problems(*words):
    with pytest.raises(ConfigError) as told:
        compose_cells([*BASE, *words])
    return told.value.problems


def made(tmp_path, *words):
    return BACKENDS["openwhisk"].settings(config(*words), tmp_path)


def test_fedkeepers_invokers_have_the_limits_of_the_paper(tmp_path):
    spec = made(tmp_path, FEDKEEPER).invoker
    assert (spec.memory_mb, spec.timeout_s) == (128, 300)
    assert made(tmp_path).invoker is None


def test_a_run_without_invokers_keeps_the_id_that_it_always_had():
    """A change here makes every finished run of everybody look like another configuration."""
    assert run_id(config(), "openwhisk", 0) == run_id(config("topology=direct"), "openwhisk", 0)
    assert run_id(config(), "openwhisk", 0) == "openwhisk-s0-6f46fe69"


def test_invokers_make_another_run_of_openwhisk_and_of_nothing_else():
    for backend in BACKENDS:
        same = run_id(config(FEDKEEPER), backend, 0) == run_id(config(), backend, 0)
        assert same == (backend != "openwhisk")
    assert run_id(config(FEDKEEPER), "openwhisk", 0) != run_id(
        config(FEDKEEPER, "topology.invoker_memory_mb=256"), "openwhisk", 0
    )


def test_the_pool_has_room_for_every_clients_invoker_beside_clients_and_aggregator(tmp_path):
    words = ("clients=20", "clients_per_round=10", "platform.client.memory_mb=256", "platform.aggregator.memory_mb=512")
    assert made(tmp_path, *words).platform.pool_memory_mb == 2 * 256 + 512
    assert made(tmp_path, FEDKEEPER, *words).platform.pool_memory_mb == 2 * 256 + 512 + 20 * 128


def test_the_pool_has_no_more_invokers_than_the_machine_has_room_for_but_two_for_each_client_in_flight(tmp_path):
    words = ("clients=60000", "clients_per_round=10", "partition=iid")
    pool_mb = made(tmp_path, FEDKEEPER, *words).platform.pool_memory_mb
    assert 3 * 1024 + 4 * 128 <= pool_mb <= max(3 * 1024 + 4 * 128, usable_memory_bytes() / 2**20)
    crowded = made(tmp_path, FEDKEEPER, *words, "platform.client.memory_mb=1000000")
    assert crowded.platform.pool_memory_mb == 2 * 1_000_000 + 1024 + 4 * 128


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backends=[openfaas]", "platform=openfaas"], "is for openwhisk, whose functions can invoke others, not open"),
        (["backends=[inprocess]"], "is for openwhisk, whose functions can invoke others, which is not among them"),
        (["round_policy=first_k"], "round_policy.name='first_k': topology=fedkeeper waits for all clients"),
        (["topology.invoker_timeout_s=null"], "topology.invoker_timeout_s=null: is for topology=fedkeeper, and needed"),
        (["topology.invoker_memory_mb=0"], "topology.invoker_memory_mb=0: must be from 128 to 1,048,576 MB"),
        (["topology.invoker_timeout_s=60"], "topology.invoker_timeout_s=60.0: must be platform.client.timeout_s=300"),
        (["platform.pool_memory_mb=2303"], "2 invocations outstanding at once need 2304 MB, an invoker and a"),
        (["topology.name=star"], "topology.name='star': allowed are direct, fedkeeper"),
    ],
)  # fmt: skip
def test_a_topology_that_cannot_work_is_told(words, told):
    assert told in "\n".join(problems(FEDKEEPER, *words))


def test_a_pool_that_is_just_large_enough_is_not_refused(tmp_path):
    assert made(tmp_path, FEDKEEPER, "platform.pool_memory_mb=2304").platform.pool_memory_mb == 2304


def test_the_experiment_differs_in_nothing_but_the_topology():
    direct, fedkeeper = compose_cells(["+exp=topology_nn"])
    assert [cell.config.topology.name for cell in (direct, fedkeeper)] == ["direct", "fedkeeper"]
    direct.config.topology = fedkeeper.config.topology
    assert direct.config == fedkeeper.config
    assert len(direct.config.seeds) >= 6
