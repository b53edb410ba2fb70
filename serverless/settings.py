"""How a federation of functions is run, as opposed to what it learns."""

from __future__ import annotations

from dataclasses import dataclass

from serverless.platforms.openwhisk.config import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.storage import StoreSettings
from task.data import DataSettings


@dataclass(frozen=True)
class ServerlessSettings:
    """How a federation of functions is run.

    Parameters
    ----------
    platform
        Where the functions run.
    store
        Where weights and data wait between the keeper and the functions.
    data
        Where the keeper finds the images; it puts each client's part into the store once.
    client, aggregator
        The functions' limits.
    in_flight
        Client invocations that are outstanding at once. As many as the platform can run: more would wait in its queue
        and, on the embedded server, push the aggregator's idle container out of the pool.
    max_attempts
        How often a piece of work is tried before the round fails.
    grant_s
        How long a presigned URL is good for, seconds; longer than the longest wait for a function.
    """

    platform: OpenWhiskSettings
    store: StoreSettings
    data: DataSettings
    client: FunctionSpec
    aggregator: FunctionSpec
    in_flight: int = 2
    max_attempts: int = 3
    grant_s: int = 3600
