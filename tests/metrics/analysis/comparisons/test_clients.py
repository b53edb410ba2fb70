"""How often each client took part, from invented invocations."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.analysis.comparisons.clients import evenness, participation


@pytest.fixture
def calls(row_makers):
    make = row_makers["invocations"]
    rows = [
        make("a", 1, 0, platform="openfaas", client_s=2.0),
        make("a", 2, 0, platform="openfaas", client_s=4.0),
        make("a", 1, 1, platform="google", status="failed"),
        make("a", 1, 1, platform="google", attempt=2, client_s=1.0),
        make("a", 2, 1, platform="google", status="discarded", client_s=99.0),
        make("a", 1, 2, platform="google", status="failed"),
        make("a", 2, 7, function="aggregator"),
        make("b", 1, 0, platform="google", client_s=1.0),
    ]
    return pd.DataFrame([vars(row) for row in rows])


def test_each_client_is_counted_once_a_round_whatever_its_attempts(calls):
    found = participation(calls).set_index(["run_id", "client_id"])
    assert list(found.index) == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    assert found["asked"].tolist() == [2, 2, 1, 1]
    assert found["counted"].tolist() == [2, 1, 0, 1]
    assert found["share"].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 1])
    assert found["platform"].tolist() == ["openfaas", "google", "google", "google"]
    assert found["client_s"].tolist()[:2] == [3.0, 1.0]  # a discarded attempt says nothing of those that counted
    assert math.isnan(found["client_s"].iloc[2])


def test_of_nothing_it_is_empty(calls):
    assert participation(calls.iloc[:0]).empty


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_evenness_lies_between_one_alone_and_all_alike(counts):
    found = evenness(pd.Series(counts), len(counts))
    if any(counts):
        assert 1 / len(counts) - 1e-9 <= found <= 1 + 1e-9
        assert found == pytest.approx(evenness(pd.Series([count for count in counts if count]), len(counts)))
        assert found == pytest.approx(evenness(pd.Series([3 * count for count in counts]), len(counts)))
    else:
        assert math.isnan(found)
