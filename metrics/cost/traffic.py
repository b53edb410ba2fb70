"""What moving and keeping weights costs: bytes that leave a network, and the requests of an object store."""

from __future__ import annotations

import json

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

    An attempt of a client reads the weights and its images and writes its update; where clients keep states, it reads
    and writes one, and where the strategy shares its own, it reads that. An invoker reads the weights and writes a
    copy. The aggregator reads the update of each client that succeeded, the test images when it is cold, and writes
    the weights and their evaluation; where the strategy has a state, it reads and writes that.
    """
    client, server, shared = (_kept(calls, runs, whose) for whose in ("client", "server", "shared"))
    is_client, is_invoker = calls["function"] == "client", calls["function"] == "invoker"
    of_client = 2.0 + client + shared + (calls["status"] == "success")
    of_aggregator = calls["is_cold"].eq(True) + server
    reads = np.where(is_client, of_client, np.where(is_invoker, 1.0, of_aggregator))
    writes = np.where(is_client, 1.0 + client, np.where(is_invoker, 1.0, 2.0 + server))
    read_usd, write_usd = (
        np.nan if each is None else each / 1e6 for each in (price.per_million_reads, price.per_million_writes)
    )
    costs = pd.Series(reads * read_usd + writes * write_usd, index=calls.index)
    return costs.groupby([calls[name] for name in ROUND]).sum(min_count=1)


def _kept(calls: pd.DataFrame, runs: pd.DataFrame, whose: str) -> pd.Series[float]:
    """Return 1 for each call of a run in which states of these are kept; older runs know ``optimizer_state`` only."""
    noted = runs["kept_states"] if "kept_states" in runs else pd.Series(None, index=runs.index, dtype="object")
    kept = noted.map(lambda text: whose in json.loads(text), na_action="ignore").eq(True)
    if whose == "client":
        kept |= runs["optimizer_state"] == "keep"
    return calls["run_id"].map(dict(zip(runs["run_id"], kept, strict=True))).astype(float)
