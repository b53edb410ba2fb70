"""Every image dealt once, decided by the seed, and skewed as the paper says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task.job import FederatedJob, PartitionSpec
from task.partition import make_partition
from task.selection import select_clients

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10, dtype=np.uint8), 600))


@settings(deadline=None)
@given(
    spec=st.one_of(
        st.builds(PartitionSpec, scheme=st.just("shards"), shards_per_client=st.sampled_from([1, 2, 3])),
        st.just(PartitionSpec(scheme="iid")),
        st.builds(PartitionSpec, scheme=st.just("dirichlet"), alpha=st.floats(0.5, 100)),
    ),
    clients=st.sampled_from([1, 2, 5, 20]),
    seed=st.integers(0, 2**31),
)
def test_every_image_is_dealt_exactly_once_and_the_seed_decides(spec, clients, seed):
    job = FederatedJob(clients=clients, clients_per_round=1, partition=spec, seed=seed)
    partition = make_partition(job, LABELS)
    dealt = np.concatenate(partition.indices)
    np.testing.assert_array_equal(np.sort(dealt), np.arange(len(LABELS)))
    assert partition.sha256 == make_partition(job, LABELS).sha256
    if clients > 5:
        assert partition.sha256 != make_partition(replace(job, seed=seed + 1), LABELS).sha256


def test_shards_are_the_papers_two_sorted_shards_a_client():
    partition = make_partition(FederatedJob(clients=100), np.repeat(np.arange(10, dtype=np.uint8), 6000))
    assert {len(part) for part in partition.indices} == {600}
    digits = [len({int(index) // 6000 for index in part}) for part in partition.indices]
    assert set(digits) == {1, 2}
    assert all(np.all(np.diff(shard) == 1) for part in partition.indices for shard in np.split(part, 2))


def test_dirichlet_is_less_alike_the_smaller_alpha():
    def unevenness(alpha):
        job = FederatedJob(clients=10, partition=PartitionSpec(scheme="dirichlet", alpha=alpha))
        counts = [np.bincount(LABELS[part], minlength=10) / len(part) for part in make_partition(job, LABELS).indices]
        return float(np.std(counts))

    assert unevenness(0.3) > 2 * unevenness(30)


def test_what_cannot_be_dealt_names_what_to_change():
    with pytest.raises(ValueError, match=r"clients=7 x partition.shards_per_client=2 = 14 equal shards"):
        make_partition(FederatedJob(clients=7), LABELS)
    crumbs = FederatedJob(clients=100, partition=PartitionSpec(scheme="dirichlet", alpha=1e-3))
    with pytest.raises(ValueError, match="without an image"):
        make_partition(crumbs, LABELS)


@given(st.integers(1, 50), st.data(), st.integers(0, 1000), st.integers(1, 500))
def test_selection_draws_distinct_clients_by_seed_and_round(clients, data, seed, server_round):
    per_round = data.draw(st.integers(1, clients))
    job = FederatedJob(clients=clients, clients_per_round=per_round, seed=seed)
    chosen = select_clients(job, server_round)
    assert len(set(chosen)) == len(chosen) == per_round
    assert list(chosen) == sorted(chosen)
    assert set(chosen) <= set(range(clients))
    assert chosen == select_clients(job, server_round)


def test_selection_changes_from_round_to_round():
    job = FederatedJob(clients=100, clients_per_round=10)
    rounds = [select_clients(job, server_round) for server_round in range(1, 60)]
    assert len(set(rounds)) == len(rounds)
    assert set().union(*rounds) == set(range(100))
