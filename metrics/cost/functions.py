"""What invocations use, and what that costs: one row per attempt, failed and cold ones included."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metrics.cost.prices import FunctionPrice

Floats = NDArray[np.float64]

_NS = 1_000_000_000
_MIB = 2**20
_UNHEARD = ("no answer", "no record")
UNITS = ("gb_s", "vcpu_s", "ghz_s", "requests")


def billed_seconds(seconds: ArrayLike, quantum_s: float, minimum_s: float = 0.0) -> Floats:
    """Return what is billed for some durations: ``ceil(max(t, minimum_s) / quantum_s) * quantum_s``.

    The division is one of whole nanoseconds: as floats, 1.1 s would be more than eleven steps of 0.1 s.

    Parameters
    ----------
    seconds
        Durations; one that is not known (NaN) stays so.

    Raises
    ------
    ValueError
        If ``quantum_s`` is less than a nanosecond.

    Examples
    --------
    >>> billed_seconds([0.0, 1.1, 1.1001], 0.1).tolist()
    [0.0, 1.1, 1.2]
    >>> billed_seconds(0.004, 0.001, minimum_s=0.1).tolist()
    0.1
    """
    quantum = round(quantum_s * _NS)
    if quantum < 1:
        raise ValueError(f"quantum_s={quantum_s}: must be at least a nanosecond")
    given = np.asarray(seconds, dtype=np.float64)
    raised = np.maximum(np.nan_to_num(given), minimum_s)
    steps = -(-np.rint(raised * _NS).astype(np.int64) // quantum)
    return np.where(np.isnan(given), np.nan, steps * quantum / _NS)


def billed_memory_mb(memory_mb: ArrayLike, price: FunctionPrice) -> Floats:
    """Return the memory that is billed, in MB: raised to the next step or tier.

    Raises
    ------
    ValueError
        If a function has more memory than the largest tier.
    """
    raised = price.memory_step_mb * np.ceil(np.asarray(memory_mb, dtype=np.float64) / price.memory_step_mb)
    return _tiers(price)[0][_tier(raised, price)] if price.tiers else raised


def usage(calls: pd.DataFrame, price: FunctionPrice, memory_mb: int | None = None) -> pd.DataFrame:
    """Return what each attempt is billed for: columns ``billed_s``, ``gb_s``, ``vcpu_s``, ``ghz_s``, ``requests``.

    Parameters
    ----------
    calls
        Rows of ``invocations``, those of stragglers included. An attempt that never began, because it was refused or
        never got there, is billed nothing; one of which nothing was heard may have run, and is billed as long as it was
        waited for.
    memory_mb
        Memory of the functions; ``None``: the limit they were run with.

    Raises
    ------
    ValueError
        If the memory of an attempt is not known, or not on offer.
    """
    seconds = attempt_seconds(calls)
    if not price.bills_init:
        seconds = (seconds - calls["init_s"].astype("float64").fillna(0.0)).clip(lower=0.0)
    known = calls[["activation_id", "provider_s", "function_s"]].notna().any(axis="columns")
    ran = (known | (calls["status"] == "success") | calls["error_kind"].isin(_UNHEARD)).to_numpy()
    billed = np.where(ran, billed_seconds(seconds, price.quantum_s, price.minimum_s), 0.0)
    memory = billed_memory_mb(_memory_mb(calls, price, memory_mb, ran), price)
    ghz = _tiers(price)[1][_tier(memory, price)] if price.tiers else np.zeros(len(calls))
    return pd.DataFrame(
        {
            "billed_s": billed,
            "gb_s": billed * memory / 1024,
            "vcpu_s": billed * price.vcpus,
            "ghz_s": billed * ghz,
            "requests": ran.astype(np.float64),
        },
        index=calls.index,
    )


def attempt_seconds(calls: pd.DataFrame) -> pd.Series[float]:
    """Return how long each attempt occupied an instance or a worker, cold start included.

    The platform's record says so (``provider_s``; OpenFaaS's has no start in it, which is then the worker's). Without
    one, the worker's own clock and its cold start; without an answer, the controller's clock, which is more than was
    used.
    """
    start = calls["cold_start_s"].astype("float64").fillna(0.0)
    own = calls["function_s"].astype("float64") + start
    recorded = calls["provider_s"].astype("float64") + start.where(calls["provider_start"].eq("excluded"), 0.0)
    seconds: pd.Series[float] = recorded.fillna(own).fillna(calls["client_s"].astype("float64")).fillna(0.0)
    return seconds


def usd(used: pd.DataFrame, price: FunctionPrice) -> Floats:
    """Return what each row of :func:`usage` costs; NaN if a price is not known."""
    per_unit = {
        "gb_s": price.per_gb_s,
        "vcpu_s": price.per_vcpu_s,
        "ghz_s": price.per_ghz_s,
        "requests": None if price.per_million_requests is None else price.per_million_requests / 1e6,
    }
    prices = np.array([np.nan if per_unit[unit] is None else per_unit[unit] for unit in UNITS], dtype=np.float64)
    costs: Floats = used[list(UNITS)].to_numpy(dtype=np.float64) @ prices
    return costs


def _memory_mb(calls: pd.DataFrame, price: FunctionPrice, memory_mb: int | None, ran: NDArray[np.bool_]) -> Floats:
    limit = calls["memory_limit_bytes"].astype("float64").to_numpy() / _MIB
    if memory_mb is not None:
        limit = np.full(len(calls), float(memory_mb))
    if price.billed_memory == "peak":
        peak = calls["worker_peak_rss_bytes"].astype("float64").to_numpy() / _MIB
        limit = np.where(np.isnan(peak), limit, np.fmin(peak, limit))
    if np.isnan(limit[ran]).any():
        raise ValueError("the memory of some functions is not in the tables: give memory_mb=...")
    return np.nan_to_num(limit)


def _tiers(price: FunctionPrice) -> tuple[Floats, Floats]:
    memory, clock = zip(*price.tiers, strict=True)
    return np.array(memory, dtype=np.float64), np.array(clock, dtype=np.float64)


def _tier(memory_mb: Floats, price: FunctionPrice) -> NDArray[np.intp]:
    largest = price.tiers[-1][0]
    if memory_mb.size and memory_mb.max() > largest:
        raise ValueError(f"memory_mb={memory_mb.max():g}: the largest on offer is {largest}")
    return np.searchsorted(_tiers(price)[0], memory_mb)
