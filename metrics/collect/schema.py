"""The schema of each table: its Arrow types, and what rows of an older version look like today.

Version 2 gave each quantity a name of its own; the values are those of version 1. Rows of version 1 are read as rows of
version 2, from Parquet and from JSON lines alike; whoever reads a table finds today's names only.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

import pyarrow as pa

from metrics.collect.row_types import TABLES, Row

READABLE = (1, 2)  # the versions that this code reads
PROVIDER_STARTS = {"openwhisk": "reported", "openfaas": "excluded"}  # of rows without the column, by their platform
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_SINCE_VERSION_2: Mapping[str, Mapping[str, str]] = {  # of each table: old name -> new name
    "runs": {"peak_memory_bytes": "peak_total_rss_bytes"},
    "rounds": {"peak_memory_bytes": "largest_worker_peak_rss_bytes", "clients": "updates"},
    "invocations": {"peak_memory_bytes": "worker_peak_rss_bytes"},
}


def schema(row: type[Row]) -> pa.Schema:
    """Return the Arrow schema of a table: its columns in order, with type and nullability."""
    hints = typing.get_type_hints(row)
    return pa.schema([_column(column.name, hints[column.name]) for column in fields(row)])


def _column(name: str, hint: object) -> pa.Field:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    (kind,) = [option for option in options if option is not types.NoneType]
    return pa.field(name, _ARROW[kind], nullable=types.NoneType in options)


def table_name(row: type[Row]) -> str:
    """Return the name of the table that rows of a class are in."""
    return next(name for name, known in TABLES.items() if known is row)


def defaults(row: type[Row]) -> dict[str, Any]:
    """Return the values of the columns that a row may lack: younger ones, and those that were not measured."""
    return {column.name: column.default for column in fields(row) if column.default is not MISSING}


def new_names(table: str, columns: Iterable[str]) -> dict[str, str]:
    """Return old name -> today's name of those columns that were renamed.

    Examples
    --------
    >>> new_names("rounds", ["run_id", "clients"])
    {'clients': 'updates'}
    """
    renamed = _SINCE_VERSION_2.get(table, {})
    return {name: renamed[name] for name in columns if name in renamed}
