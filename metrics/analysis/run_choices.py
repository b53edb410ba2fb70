"""Choices of a run that only its resolved configuration holds, as columns."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pandas as pd


def function_memory_mb(runs: pd.DataFrame) -> pd.Series[float]:
    """Return the memory limit of each run's client functions, in MiB; null where no function was involved."""
    found = pd.Series([_at(config, "platform", "client", "memory_mb") for config in _configs(runs)], index=runs.index)
    return found.astype("float64").where(runs["platform"].notna())


def first_k(runs: pd.DataFrame) -> pd.Series[float]:
    """Return after how many updates functions closed a round under each run's configuration; null for all of them.

    Backends without functions always wait for all; a run of theirs has the number of the functions it stands beside.
    """
    names = [_at(config, "round_policy", "name") for config in _configs(runs)]
    counts = [_at(config, "round_policy", "k") for config in _configs(runs)]
    found = [k if name == "first_k" else None for name, k in zip(names, counts, strict=True)]
    return pd.Series(found, index=runs.index).astype("float64")


def closing_label(runs: pd.DataFrame) -> pd.Series[str]:
    """Return when functions closed a round, such as ``after 60 s and 2 updates``; "" for all and for ``first_k``."""
    labels = [_closing(_at(config, "round_policy")) for config in _configs(runs)]
    return pd.Series(labels, index=runs.index, dtype="str")


def _closing(policy: Any) -> str:
    name = _at(policy, "name")
    if name == "deadline":
        return f"after {policy['deadline_s']:g} s and {policy['min_updates']} updates"
    return "" if name in (None, "wait_all", "first_k") else f"by {name}"


def selection(runs: pd.DataFrame) -> pd.Series[str]:
    """Return how each run selected its clients; older runs knew ``random`` only."""
    labels = [_at(config, "selection") or "random" for config in _configs(runs)]
    return pd.Series(labels, index=runs.index, dtype="str")


def data_set(runs: pd.DataFrame) -> pd.Series[str]:
    """Return the data set of each run; older runs knew ``mnist`` only."""
    labels = [_at(config, "data", "name") or "mnist" for config in _configs(runs)]
    return pd.Series(labels, index=runs.index, dtype="str")


def strategy(runs: pd.DataFrame) -> pd.Series[str]:
    """Return how updates became global weights, such as ``krum(f=8, m=1)``; older runs knew ``fedavg`` only."""
    labels = [_strategy(_at(config, "strategy")) for config in _configs(runs)]
    return pd.Series(labels, index=runs.index, dtype="str")


def _strategy(chosen: Any) -> str:
    values = {key: value for key, value in (chosen or {"name": "fedavg"}).items() if value is not None}
    name, given = values.pop("name"), ", ".join(f"{key}={value:g}" for key, value in values.items())
    return f"{name}({given})" if given else str(name)


def poisoned_share(runs: pd.DataFrame) -> pd.Series[float]:
    """Return which share of each run's clients was poisoned on purpose."""
    shares = [_at(config, "poison", "share") or 0.0 for config in _configs(runs)]
    return pd.Series(shares, index=runs.index, dtype="float64")


def poison_label(runs: pd.DataFrame) -> pd.Series[str]:
    """Return each run's simulated poisoners, such as ``10 % poisoned (sign_flip x 5, simulated)``; "" for none."""
    labels = [_poisoned(_at(config, "poison")) for config in _configs(runs)]
    return pd.Series(labels, index=runs.index, dtype="str")


def _poisoned(chosen: Any) -> str:
    if not _at(chosen, "share"):
        return ""
    return f"{100 * chosen['share']:g} % poisoned ({chosen['attack']} x {chosen['scale']:g}, simulated)"


def topology(runs: pd.DataFrame) -> pd.Series[str]:
    """Return who invoked each run's clients, ``direct`` or ``fedkeeper``; older runs, and other systems, know no other.

    Only functions have a choice: where a run of another system stands beside them, it has none.
    """
    labels = [_at(config, "topology", "name") or "direct" for config in _configs(runs)]
    return pd.Series(labels, index=runs.index, dtype="str").where(runs["platform"].notna(), "direct")


def waits_for_all(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each run averaged the updates of all clients that it selected: the first six of six are all."""
    early = (first_k(runs) < runs["clients_per_round"]) | (closing_label(runs) != "")
    return ~(early & runs["platform"].notna())


def partition_label(runs: pd.DataFrame) -> pd.Series[str]:
    """Return each run's partition scheme with its parameter, such as ``shards(2)``."""
    labels = [_partition(scheme, config) for scheme, config in zip(runs["partition"], _configs(runs), strict=True)]
    return pd.Series(labels, index=runs.index, dtype="str")


def _partition(scheme: str, config: Any) -> str:
    parameter = {"shards": "shards_per_client", "dirichlet": "alpha"}.get(scheme, "")
    value = _at(config, "partition", parameter)
    return scheme if value is None else f"{scheme}({value:g})"


def _configs(runs: pd.DataFrame) -> list[Any]:
    return [_parsed(text) for text in runs["config"]]


@lru_cache(maxsize=1024)
def _parsed(config: str) -> Any:
    """Return a configuration, to be read only: each column is looked up in the same few texts."""
    return json.loads(config)


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
