"""A fabric's platforms side by side, from invented invocations."""

import pandas as pd
import pytest

from metrics.analysis.comparisons.platforms import by_platform, slowest

GIB = 2**30
EDGE = {"platform": "openfaas", "fabric_group": "edge", "memory_limit_bytes": GIB}
CLOUD = {"platform": "google", "fabric_group": "cloud", "memory_limit_bytes": 2 * GIB}


@pytest.fixture
def calls(row_makers):
    make = row_makers["invocations"]
    rows = [
        make("a", 1, 0, **EDGE, is_cold=True, client_s=9.0, provider_s=8.0, cpu_s=1.0),
        make("a", 1, 1, **CLOUD, is_cold=True, client_s=7.0, provider_s=6.0, cpu_s=1.0),
        make("a", 2, 0, **EDGE, is_cold=False, client_s=4.0, provider_s=3.0, cpu_s=1.0),
        make("a", 2, 1, **CLOUD, is_cold=False, status="failed", client_s=99.0, function_s=2.0, cpu_s=1.0),
        make("a", 2, 1, **CLOUD, is_cold=False, attempt=2, client_s=5.0, provider_s=2.0, cpu_s=1.0),
        make("a", 2, 2, **CLOUD, is_cold=False, client_s=3.0, provider_s=2.0, cpu_s=1.0),
        make("a", 2, None, function="aggregator", **EDGE, client_s=500.0),
        make("b", 1, 0, client_s=500.0),  # no platform: the bare loop
    ]
    return pd.DataFrame([vars(row) for row in rows])


def test_each_place_has_its_own_row(calls):
    found = by_platform(calls).set_index("place")
    assert list(found.index) == ["edge", "cloud"]
    assert found["platform"].tolist() == ["openfaas", "google"]
    assert found["clients"].tolist() == [1, 2]
    assert found["attempts"].tolist() == [2, 4]
    assert found["failures"].tolist() == [0, 1]
    assert found["cold_starts"].tolist() == [1, 1]
    assert found["warm_client_s"].tolist() == [4.0, 4.0]  # neither cold attempts nor failed ones
    assert found["cpu_s"].tolist() == [2.0, 4.0]
    assert found["gb_s"].tolist() == [11.0, 2 * (6.0 + 2.0 + 2.0 + 2.0)]
    assert found["slowest_share"].tolist() == [0.5, 0.5]


def test_the_slowest_of_a_round_is_whose_update_counted_and_took_longest(calls):
    found = slowest(calls)
    assert found[["server_round", "place", "client_id", "client_s"]].values.tolist() == [
        [1, "edge", 0, 9.0],
        [2, "cloud", 1, 5.0],
    ]


def test_without_a_fabric_the_platform_is_the_place(calls):
    calls["fabric_group"] = None
    assert set(by_platform(calls)["place"]) == {"openfaas", "google"}


def test_of_nothing_it_is_empty(calls):
    assert by_platform(calls.iloc[:0]).empty
    assert slowest(calls.iloc[:0]).empty
