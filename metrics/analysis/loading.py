"""Tables of several experiments as one; those that cannot be compared are refused unless one says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metrics.collect.row_types import TABLES
from metrics.collect.tables import SchemaVersionError, load

MACHINE = ("cpu_model", "cores", "memory_bytes", "cgroup_cpu_cores", "cgroup_memory_bytes")
_SAME = 0.01  # a kernel may give or take some of the memory that a machine says it has
_MOST_SHOWN = 3  # values of a column that are named


class MixedTablesError(ValueError):
    """Tables that say nothing side by side: other machines, other schemas, or the same run twice."""


def load_all(experiments: Sequence[Path], *, mixed: bool = False) -> dict[str, pd.DataFrame]:
    """Read the tables of experiments as if they were one.

    Parameters
    ----------
    mixed
        Whether runs of different machines, and tables of other schema versions, may stand side by side.

    Raises
    ------
    FileNotFoundError
        If a folder holds no tables.
    MixedTablesError
        If the runs are of different machines or the tables of different versions and ``mixed`` is false; or if two
        folders hold the same run, always.
    """
    try:
        loaded = [load(folder, any_version=mixed) for folder in experiments]
    except SchemaVersionError as error:
        raise MixedTablesError(f"{error}, or say mixed=true") from None
    _refuse_duplicates(experiments, loaded)
    merged = {name: _concat(tables[name] for tables in loaded if name in tables) for name in _names(loaded)}
    differing = differing_columns(merged["runs"])
    if differing and not mixed:
        raise MixedTablesError(
            f"these runs are of different machines, their times say nothing side by side: {'; '.join(differing)}. "
            "Name results of one machine, or say mixed=true"
        )
    return merged


def differing_columns(runs: pd.DataFrame) -> list[str]:
    """Return a line for each column that tells machines of these runs apart, with its values."""
    lines = []
    for column in MACHINE:
        values = list(runs[column].drop_duplicates())
        if not _alike(values):
            more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
            shown = ", ".join("none" if pd.isna(value) else str(value) for value in values[:_MOST_SHOWN])
            lines.append(f"{column} is {shown}{more}")
    return lines


def _alike(values: list[Any]) -> bool:
    known = [value for value in values if not pd.isna(value)]
    if len(values) < 2:
        return True
    if len(known) < len(values) or isinstance(known[0], str):
        return False
    return bool(max(known) <= (1 + _SAME) * min(known))


def _refuse_duplicates(experiments: Sequence[Path], loaded: Sequence[Mapping[str, pd.DataFrame]]) -> None:
    seen: dict[str, Path] = {}
    for folder, tables in zip(experiments, loaded, strict=True):
        for run_id in tables["runs"]["run_id"]:
            if run_id in seen:
                raise MixedTablesError(f"run {run_id} is in {seen[run_id]} and in {folder}: name only one of them")
            seen[run_id] = folder


def _names(loaded: Iterable[Mapping[str, pd.DataFrame]]) -> list[str]:
    return list(dict.fromkeys([*TABLES, *(name for tables in loaded for name in tables)]))


def _concat(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    filled = list(frames)
    return pd.concat([frame for frame in filled if len(frame)] or filled[:1], ignore_index=True)
