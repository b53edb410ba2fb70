"""What moving and keeping weights costs: bytes that leave a network, and the requests of an object store."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metrics.cost.machine_hours import ROUND
from metrics.cost.prices import PriceBook, StorePrice

_GB = 2**30


def egress_usd(calls: pd.DataFrame, book: PriceBook) -> pd.Series[float]:
    """Price the bytes between clients and the rest: the weights that reach them and the updates that leave them.

    Parameters
    ----------
    calls
        Rows of ``invocations``; bytes that nobody reported, of a failed attempt, count as none.

    Returns
    -------
    Series
        Indexed by run and round; null if no price is known.
    """
    clients = calls[calls["function"] == "client"]
    moved = clients[["bytes_in", "bytes_out"]].astype("float64").fillna(0.0).sum(axis="columns")
    gb = (moved * book.billing.egress_share / _GB).groupby([clients[name] for name in ROUND]).sum()
    if book.billing.free_tier:
        gb = beyond(gb, book.egress.free_gb)
    return gb * (np.nan if book.egress.per_gb is None else book.egress.per_gb)


def beyond(used: pd.Series[float], free: float) -> pd.Series[float]:
    """Scale what each run used, by round, so that its sum is what is beyond a free amount."""
    totals = used.groupby(level="run_id").transform("sum")
    paid: pd.Series[float] = used * ((totals - free).clip(lower=0.0) / totals.where(totals > 0)).fillna(0.0)
    return paid


def operations_usd(calls: pd.DataFrame, runs: pd.DataFrame, price: StorePrice) -> pd.Series[float]:
    """Price a store's requests, by run and round.

    An attempt of a client reads the weights and its images and writes its update; where optimizer states are kept, it
    reads and writes one. An invoker reads the weights and writes a copy. The aggregator reads the update of each client
    that succeeded, the test images when it is cold, and writes the weights and their evaluation.
    """
    keeps = calls["run_id"].map(dict(zip(runs["run_id"], runs["optimizer_state"] == "keep", strict=True))).astype(float)
    is_client, is_invoker = calls["function"] == "client", calls["function"] == "invoker"
    reads = np.where(is_client, 2.0 + keeps + (calls["status"] == "success"), calls["is_cold"].eq(True) | is_invoker)
    writes = np.where(is_client, 1.0 + keeps, np.where(is_invoker, 1.0, 2.0))
    read_usd, write_usd = (
        np.nan if each is None else each / 1e6 for each in (price.per_million_reads, price.per_million_writes)
    )
    costs = pd.Series(reads * read_usd + writes * write_usd, index=calls.index)
    return costs.groupby([calls[name] for name in ROUND]).sum(min_count=1)
