"""Which runs may be compared: cells of one learning, systems that ran it.

A *cell* is everything that was chosen about the learning, but for the seed. A *system* is a backend together with
how it was run. Runs of one cell and seed learn the same; systems differ in what that took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from metrics.analysis.run_choices import (
    closing_label,
    data_set,
    first_k,
    function_memory_mb,
    partition_label,
    poison_label,
    selection,
    strategy,
    topology,
)
from metrics.collect.tables import records

BASELINE = "inprocess"
PAIRED_BY = ("cell", "seed", "workers", "threads_per_client")

_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "model": str,
    "data_set": lambda value: "" if value == "mnist" else f"on {value}",
    "optimizer": str,
    "learning_rate": lambda value: f"rate {value:g}",
    "batch_size": lambda value: f"batch {value}",
    "local_epochs": lambda value: f"E={value}",
    "clients_per_round": lambda value: f"{value} a round",
    "clients": lambda value: f"of {value} clients",
    "strategy": lambda value: "" if value == "fedavg" else value,
    "poison": str,
    "first_k": lambda value: "" if pd.isna(value) else f"first {value:g} count",
    "closed": lambda value: f"closed {value}" if value else "",
    "selection": lambda value: "" if value == "random" else f"selection {value}",
    "partition": str,
    "optimizer_state": lambda value: f"optimizer state {value}",
    "max_rounds": lambda value: f"at most {value} rounds",
    "target_accuracy": lambda value: "no target" if pd.isna(value) else f"target {value:.0%}",
}
LEARNING = tuple(_FORMATS)  # the columns that make a cell
_OF_FUNCTIONS = ["first_k", "closed"]  # what a run without functions is no different for
_SYSTEM: Mapping[str, Callable[[Any], str]] = {
    "runtime": str,
    "topology": str,
    "store": str,
    "function_memory_mb": lambda value: f"{value:g} MB",
    "workers": lambda value: f"{value} workers",
    "threads_per_client": lambda value: f"{value} threads_per_client",
}
_READ = ("run_id", "seed", "backend", "platform", "emulated", *_FORMATS, *_SYSTEM)  # few of the table's many columns
_ADDED = (
    "partition",
    "strategy",
    "poison",
    "first_k",
    "closed",
    "selection",
    "data_set",
    "function_memory_mb",
    "topology",
    "cell",
    "system",
)

_GIVEN = ("workers", "threads_per_client")  # written for every system where not all were given as many


class _Labelled(NamedTuple):
    runs: pd.DataFrame
    labelled: pd.DataFrame


_latest: list[_Labelled] = []  # what was labelled last

FIRST_K = "First k count: functions close a round after so many updates; systems without functions wait for all."


def label_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Add the columns ``cell`` and ``system`` to the table of runs, and put it in the order in which it is shown.

    A cell's label names what differs between the cells of this table ("" if there is only one); a system's label is
    its backend, with what tells it from other systems of that backend in a cell, and whether it was emulated. A run
    without functions, whose rounds wait for all clients in any case, has a row in each cell that differs from its own
    in when functions close a round: it is made once, and stands beside all of them.
    """
    if not (_latest and _latest[0].runs.equals(runs)):  # each figure asks for the labels of the same table
        _latest[:] = [_Labelled(runs.copy(), _label(runs))]
    return _latest[0].labelled.copy()


def _label(runs: pd.DataFrame) -> pd.DataFrame:
    labelled = runs[list(dict.fromkeys(name for name in _READ if name in runs))].assign(
        place=range(len(runs)),
        partition=partition_label(runs),
        strategy=strategy(runs),
        poison=poison_label(runs),
        first_k=first_k(runs),
        closed=closing_label(runs),
        selection=selection(runs),
        data_set=data_set(runs),
        function_memory_mb=function_memory_mb(runs),
        topology=topology(runs),
    )
    labelled = _beside_functions(labelled)
    chosen = records(labelled[list(_FORMATS)])
    varying = _varying(chosen)
    labelled["cell"] = [_describe(row, varying) for row in chosen]
    labelled["system"] = _systems(labelled)
    labelled["_rank"] = _rank(labelled)
    numeric = [name for name in varying if labelled[name].dtype.kind in "if"]  # 3, 6, 12: not as text
    order = [*numeric, "cell", "_rank", "backend", "function_memory_mb", "system", "seed", "run_id"]
    labelled = labelled.sort_values(order, ignore_index=True)
    added = {name: labelled[name] for name in _ADDED}
    return runs.iloc[labelled["place"]].reset_index(drop=True).assign(**added)


def _rank(runs: pd.DataFrame) -> pd.Series[int]:
    """Return the order in which runs are shown: the baseline, others without functions, platforms, then fabrics."""
    on_functions, is_platform = runs["platform"].notna(), runs["platform"] == runs["backend"]
    return 1 + on_functions.astype(int) + (on_functions & ~is_platform) - (runs["backend"] == BASELINE)


def _beside_functions(runs: pd.DataFrame) -> pd.DataFrame:
    functions, others = runs[runs["platform"].notna()], runs[runs["platform"].isna()]
    same = [name for name in LEARNING if name not in _OF_FUNCTIONS]
    policies = functions[[*same, *_OF_FUNCTIONS]].drop_duplicates()
    beside = others.drop(columns=_OF_FUNCTIONS).merge(policies, on=same)
    alone = others[~others["run_id"].isin(beside["run_id"])]
    return pd.concat([part for part in (beside, alone, functions) if len(part)] or [runs], ignore_index=True)


def common_label(runs: pd.DataFrame) -> str:
    """Say what all labelled runs have in common: model, optimizer, clients, ..."""
    chosen = records(runs[list(_FORMATS)])
    varying = _varying(chosen)
    return _describe(chosen[0], [name for name in _FORMATS if name not in varying]) if chosen else ""


def _varying(chosen: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in _FORMATS if len({str(row[name]) for row in chosen}) > 1]


def _describe(row: Mapping[str, Any], names: list[str]) -> str:
    words = filter(None, (_FORMATS[name](row[name]) for name in names))
    return ", ".join(words).replace("round, of", "round of")


def _systems(runs: pd.DataFrame) -> list[str]:
    rows = records(runs[["cell", "backend", "emulated", *_SYSTEM]])
    details = {backend: _details(rows, backend) for backend in {row["backend"] for row in rows}}
    return [_system(row, details[row["backend"]]) for row in rows]


def _details(rows: Sequence[Mapping[str, Any]], backend: str) -> list[str]:
    """Return the columns that tell a backend's systems apart: those with several values in one cell."""
    details = []
    for name in _SYSTEM:
        values = {(row["cell"], str(row[name])) for row in rows if name in _GIVEN or row["backend"] == backend}
        if len(values) > len({cell for cell, _ in values}):
            details.append(name)
    return details


def _system(row: Mapping[str, Any], details: list[str]) -> str:
    words = [_SYSTEM[name](row[name]) for name in details]
    words += ["emulated"] if row["emulated"] else []
    return f"{row['backend']} ({', '.join(words)})" if words else str(row["backend"])
