"""Functions take no other weights for the global ones, and ask again for what was damaged on the way."""

import pytest

from serverless.functions import transfer
from serverless.functions.global_weights import fetch_state, fetch_weights
from task.models import initial_weights
from task.weights import digest, dumps, sha256

RIGHT, OLDER = (initial_weights("mlp50", seed) for seed in (1, 2))
GOOD = dumps(RIGHT)


@pytest.fixture
def reads(monkeypatch):
    """Let a store answer with these bytes, the last ones for ever; return what was asked for."""
    asked = []

    def answer(*contents):
        def fetch(url, most_bytes):
            asked.append(url)
            return contents[min(len(asked), len(contents)) - 1]

        monkeypatch.setattr(transfer, "fetch", fetch)
        monkeypatch.setattr(transfer, "BACKOFF_S", 0.001)
        return asked

    return answer


@pytest.mark.parametrize(
    "damaged", [dumps(OLDER), GOOD[:-1], GOOD[:-1] + b"x", b""], ids=["older", "cut", "bit", "none"]
)
def test_weights_that_are_read_damaged_are_read_again(reads, damaged):
    asked = reads(damaged, damaged, GOOD)
    weights, bytes_in = fetch_weights("file:///w?s=1", RIGHT, sha256(RIGHT))
    assert sha256(weights) == sha256(RIGHT)
    assert (len(asked), bytes_in) == (3, 2 * len(damaged) + len(GOOD))


def test_weights_that_lie_damaged_in_the_store_are_refused_soon_and_without_the_urls_signature(reads):
    asked = reads(dumps(OLDER))
    with pytest.raises(transfer.TransferError, match="not the global weights: they have the hash") as refused:
        fetch_weights("file:///w?X-Amz-Signature=secret", RIGHT, sha256(RIGHT))
    assert len(asked) == 4
    assert "secret" not in str(refused.value)


def test_a_state_that_is_read_damaged_is_read_again_and_another_rounds_is_refused(reads):
    params = {"state_url": "file:///s", "state_sha256": digest(GOOD)}
    reads(GOOD[:-1] + b"x", GOOD)
    state, bytes_in = fetch_state(params, "state", RIGHT)
    assert (sha256(state), bytes_in) == (sha256(RIGHT), 2 * len(GOOD))
    reads(dumps(OLDER))
    with pytest.raises(transfer.TransferError, match="the arrays of the state: these are not the bytes that counted"):
        fetch_state(params, "state", RIGHT)


def test_before_the_first_round_there_is_no_state(reads):
    asked = reads(GOOD)
    assert fetch_state({}, "state", RIGHT) == (None, 0)
    assert asked == []
