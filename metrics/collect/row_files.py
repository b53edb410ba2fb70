"""The rows of one run on disk: a file of JSON lines per table, in the run's own folder.

Each row is appended and forced to disk while the run goes on, so that a killed run loses at most the round in flight.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from machine.files import DamagedFileError, naming, write_whole
from metrics.collect.row_types import SCHEMA_VERSION, TABLES, InvocationRow, Row
from metrics.collect.schema import PROVIDER_STARTS, READABLE, defaults, new_names, schema, table_name

RUNS = "runs"  # the folder of an experiment that has a folder for each of its runs


class RowsError(DamagedFileError):
    """A file of rows with a line that is none."""


def append(directory: Path, *rows: Row) -> None:
    """Append rows of one kind to their table in a run's folder, and force them to disk."""
    path, lines = _lines(directory, rows)
    with naming(path), path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two processes write `samples`: neither may see half a line of the other
        _drop_half_line(file)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def rewrite(directory: Path, *rows: Row) -> None:
    """Put rows of one kind in place of all of their table in a run's folder, whole or not at all."""
    write_whole(*_lines(directory, rows))


def _lines(directory: Path, rows: Sequence[Row]) -> tuple[Path, bytes]:
    """Return the file of rows of one kind, and the rows as its lines."""
    path = directory / f"{table_name(type(rows[0]))}.jsonl"
    return path, "".join(json.dumps(asdict(row)) + "\n" for row in rows).encode()


def _drop_half_line(file: BinaryIO) -> None:
    """Cut off what a kill left of a last line, so that the next row does not continue it."""
    file.seek(0, os.SEEK_END)
    if file.tell() == 0:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def read_run(directory: Path, name: str) -> pa.Table:
    """Read a table of one run; a last line that a kill cut short is left out."""
    return read_rows(directory / f"{name}.jsonl", TABLES[name])


def read_rows(path: Path, row: type[Row]) -> pa.Table:
    """Read a file of rows of one kind; a last line that a kill cut short is left out.

    Rows of an older schema version become rows of today's; columns that they lack have their default value.

    Raises
    ------
    RowsError
        If a line is no row, names the line.
    """
    data = path.read_bytes() if path.exists() else b""
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    try:
        return _table(lines, row)
    except Exception as error:  # JSON, Arrow and Python each have their own for a value that does not fit
        number = next((number for number, line in enumerate(lines, 1) if not _is_row(line, row)), len(lines))
        raise RowsError(
            f"{path}, line {number}: is no row of the table {table_name(row)} ({type(error).__name__}: {error}); "
            "no run writes such a line: restore the file, or delete the line if its row may be missing"
        ) from error


def _is_row(line: bytes, row: type[Row]) -> bool:
    try:
        _table([line], row)
    except Exception:  # see read_rows
        return False
    return True


def _table(lines: Sequence[bytes], row: type[Row]) -> pa.Table:
    table = pa.Table.from_pylist([_up_to_date(json.loads(line), row) for line in lines], schema=schema(row))
    missing = [column.name for column in table.schema if not column.nullable and table[column.name].null_count]
    if missing:
        raise ValueError(f"{missing[0]} has no value")
    return table


def _up_to_date(values: dict[str, Any], row: type[Row]) -> dict[str, Any]:
    names = new_names(table_name(row), values)
    current = defaults(row) | {names.get(name, name): value for name, value in values.items()}
    if row is InvocationRow and "provider_start" not in values:
        current["provider_start"] = PROVIDER_STARTS.get(current["platform"])
    if current["schema_version"] in READABLE:
        current["schema_version"] = SCHEMA_VERSION
    return current
