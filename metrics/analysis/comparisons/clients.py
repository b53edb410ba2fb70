"""How often each client took part, and what selecting by speed did to that: from ``invocations`` alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

_KEYS = ["run_id", "client_id"]


def participation(invocations: pd.DataFrame) -> pd.DataFrame:
    """Return a row per run and client that was ever asked.

    Returns
    -------
    DataFrame
        ``run_id``, ``client_id``, ``platform`` (the last that it ran on), ``asked`` (rounds in which it was invoked),
        ``counted`` (of these, rounds whose average holds its update), ``share`` (of all updates of its run that
        counted) and ``client_s`` (median seconds until the keeper had the answer of an attempt that counted, null if
        none did).
    """
    calls = invocations[invocations["function"] == "client"]
    counted = calls[calls["status"] == "success"]
    found = calls.groupby(_KEYS, sort=True).agg(platform=("platform", "last"), asked=("server_round", "nunique"))
    found["counted"] = counted.groupby(_KEYS)["server_round"].nunique().reindex(found.index, fill_value=0)
    found["client_s"] = counted.groupby(_KEYS)["client_s"].median().astype("float64").reindex(found.index)
    found = found.reset_index()
    total = found.groupby("run_id")["counted"].transform("sum")
    found.insert(5, "share", found["counted"] / total.where(total > 0))
    return found.astype({"client_id": "int64"})


def evenness(counted: pd.Series[int], clients: int) -> float:
    """Return Jain's index of how evenly clients took part: 1 if all did equally often, 1/n if one did alone.

    Parameters
    ----------
    counted
        How often each client took part; those that never did may be left out.
    clients
        How many the federation has.

    Notes
    -----
    R. Jain, D. Chiu, W. Hawe: "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared
    Computer Systems", DEC-TR-301, 1984. Null if nobody ever took part.

    Examples
    --------
    >>> evenness(pd.Series([2, 2, 2, 2]), 4), evenness(pd.Series([5]), 4)
    (1.0, 0.25)
    """
    values = counted.to_numpy(dtype="float64")
    squares = float(np.square(values).sum())
    return float(values.sum() ** 2 / (clients * squares)) if squares else float("nan")
