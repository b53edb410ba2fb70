"""How a function reads global weights, and states: from a store that may hand out something else than was put in.

Not every store names the MD5 sum of an object, and some were seen to send damaged bytes. So their hash
travels in the parameters of the call. Shipped into functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from serverless.functions import transfer
from serverless.functions.backoff import attempts
from task.weights import CorruptWeights, Weights, largest_bytes, read, sha256

_READS = 4  # what is damaged each time lies damaged in the store


def fetch_weights(url: str, like: Weights, expected_sha256: str) -> tuple[Weights, int]:
    """Return the weights behind ``url``, and how many bytes were read; what is damaged is read again.

    Parameters
    ----------
    like
        See :func:`task.weights.read`.
    expected_sha256
        Of the weights, by :func:`task.weights.sha256`.

    Raises
    ------
    serverless.functions.transfer.TransferError
        If they cannot be read, or are others each time.
    """

    def decode(data: bytes) -> Weights:
        weights = read(data, like)
        if (found := sha256(weights)) != expected_sha256:
            raise CorruptWeights(f"they have the hash {found}, not {expected_sha256}")
        return weights

    return _decoded(url, like, decode, "the global weights")


def fetch_state(params: Mapping[str, Any], name: str, like: Weights) -> tuple[Weights | None, int]:
    """Return a state, and how many bytes were read; ``None`` and 0 where there is none yet.

    Parameters
    ----------
    params
        A function's, where ``<name>_url`` says where it is and ``<name>_sha256`` what its bytes must be, if known.

    Raises
    ------
    serverless.functions.transfer.TransferError
        If it cannot be read, or is another each time.
    """
    if (url := params.get(f"{name}_url")) is None:
        return None, 0
    return _decoded(
        url, like, lambda data: read(data, like, sha256=params.get(f"{name}_sha256")), f"the arrays of the {name}"
    )


def _decoded(url: str, like: Weights, decode: Callable[[bytes], Weights], what: str) -> tuple[Weights, int]:
    bytes_in, error = 0, ""
    for number in attempts(transfer.PATIENCE_S, transfer.BACKOFF_S):
        data = transfer.fetch(url, largest_bytes(like))
        bytes_in += len(data)
        try:
            return decode(data), bytes_in
        except CorruptWeights as damaged:
            error = str(damaged)
        if number == _READS:
            break
    raise transfer.TransferError(f"GET {url.partition('?')[0]}: these are not {what}: {error}")
