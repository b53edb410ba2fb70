"""How a function reads the global weights: from a store that may hand out something else than was put into it.

Not every store names the MD5 sum of an object, and some were seen to send damaged bytes. So the hash of the weights
travels in the parameters of the call. Shipped into functions.
"""

from __future__ import annotations

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
    bytes_in, error = 0, ""
    for number in attempts(transfer.PATIENCE_S, transfer.BACKOFF_S):
        data = transfer.fetch(url, largest_bytes(like))
        bytes_in += len(data)
        try:
            weights = read(data, like)
        except CorruptWeights as damaged:
            error = str(damaged)
        else:
            if (found := sha256(weights)) == expected_sha256:
                return weights, bytes_in
            error = f"they have the hash {found}, not {expected_sha256}"
        if number == _READS:
            break
    raise transfer.TransferError(f"GET {url.partition('?')[0]}: these are not the global weights: {error}")
