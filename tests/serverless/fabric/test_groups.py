"""Which client runs where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless.fabric.groups import Fabric, FabricError, Group


def fabric(*sizes, aggregator="g0"):
    groups = tuple(Group(f"g{number}", "openwhisk", size, 1024) for number, size in enumerate(sizes))
    return Fabric("test", groups, aggregator)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_client_is_in_one_group_and_each_group_has_as_many_as_it_says(sizes):
    made = fabric(*sizes)
    found = [made.group_of(client) for client in range(made.clients)]
    assert [found.count(group) for group in made.groups] == sizes
    assert sorted(found, key=lambda group: group.name) == found  # in the order of ids


@pytest.mark.parametrize("client", [-1, 5])
def test_who_is_in_no_group_is_told(client):
    with pytest.raises(FabricError, match=f"has no client {client}: it has 5"):
        fabric(2, 3).group_of(client)


def test_groups_need_names_and_the_aggregator_one_of_them():
    twice = (Group("edge", "openfaas", 1, 1024), Group("edge", "google", 1, 1024))
    with pytest.raises(FabricError, match="names of their own"):
        Fabric("test", twice, "edge")
    with pytest.raises(FabricError, match="there must be one"):
        Fabric("test", (), "edge")
    with pytest.raises(FabricError, match="aggregator='cloud' names none of g0, g1"):
        fabric(1, 1, aggregator="cloud")
