"""The tables of an experiment: the rows of all its runs, one Parquet and one CSV file per table.

:func:`collect` writes them and :func:`load` reads them. The table ``cost`` is made from the others
(:mod:`metrics.cost.bill`). Units are in the names of the columns: ``docs/tables.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from machine.files import DamagedFileError, write_whole
from metrics.collect.cost_table import COST
from metrics.collect.row_files import RUNS, read_run
from metrics.collect.row_types import SCHEMA_VERSION, TABLES
from metrics.collect.schema import PROVIDER_STARTS, READABLE, defaults, new_names, schema

Tables = Mapping[str, pd.DataFrame]


class TableError(DamagedFileError):
    """A file of a collected table that is something else, or damaged."""


class SchemaVersionError(TableError):
    """Tables of a schema version that this code does not read, whose columns may mean something else."""


def collect(experiment: Path, cells: Sequence[Path] = ()) -> dict[str, pd.DataFrame]:
    """Write ``<table>.parquet`` and ``<table>.csv`` of all runs of an experiment, and return them.

    Parameters
    ----------
    experiment
        Its folder; the runs are read from ``runs/<run_id>/``.
    cells
        Folders of a sweep's cells, whose runs are read instead; a run that is in several of them counts once.
    """
    found = [path for cell in cells or [experiment] for path in sorted((cell / RUNS).glob("*")) if path.is_dir()]
    directories = list({path.name: path for path in reversed(found)}.values())[::-1]
    frames = {}
    for name, row in TABLES.items():
        tables = [read_run(directory, name) for directory in directories]
        table = pa.concat_tables([schema(row).empty_table(), *tables])
        write(experiment, name, table)
        frames[name] = table.to_pandas()
    return frames


def write(experiment: Path, name: str, table: pa.Table) -> list[Path]:
    """Write a table as ``<name>.parquet`` and ``<name>.csv``, each whole or not at all; return the files.

    Raises
    ------
    OSError
        If one cannot be written, with its name; what was there before is still there.
    """
    files = []
    for suffix, write_to in (("parquet", pq.write_table), ("csv", pyarrow.csv.write_csv)):  # CSV by Arrow: whole
        sink = pa.BufferOutputStream()  # numbers stay whole beside nulls
        write_to(table, sink)
        files.append(experiment / f"{name}.{suffix}")
        write_whole(files[-1], sink.getvalue().to_pybytes())
    return files


def load(experiment: Path, *, any_version: bool = False) -> dict[str, pd.DataFrame]:
    """Read the collected tables of an experiment, and ``cost`` where it has been priced.

    Tables of an older version that this code reads get the names of today's (:mod:`metrics.collect.schema`).

    Parameters
    ----------
    any_version
        Whether to take tables of an unknown schema version as they are, with null or a default for what they lack.

    Raises
    ------
    FileNotFoundError
        If the folder holds no collected tables.
    TableError
        If a file is no such table.
    SchemaVersionError
        If a table is of a schema version that is not in :data:`metrics.collect.schema.READABLE`.
    """
    missing = [name for name in TABLES if not (experiment / f"{name}.parquet").exists()]
    if missing:
        raise FileNotFoundError(
            f"{experiment} holds no {missing[0]}.parquet: name the folder of an experiment, such as "
            f"results/quickstart, in which `python -m experiments.run` has finished"
        )
    names = [*TABLES, *([COST] if (experiment / f"{COST}.parquet").exists() else [])]
    frames = {name: _read(experiment / f"{name}.parquet") for name in names}
    if not any_version:
        _check_versions(experiment, frames)
    return {name: _up_to_date(name, frame) for name, frame in frames.items()}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
        frame["schema_version"].isin(READABLE)
    except Exception as error:  # Arrow and pandas pass on those of every layer of the format
        raise TableError(
            f"{path} is no table of an experiment, or is damaged ({type(error).__name__}: {error}); make it again from "
            "the run folders beside it, by python -m experiments.run with the same arguments"
        ) from error
    return frame


def _up_to_date(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with today's columns: renamed ones, and those that were added after it was written."""
    frame = frame.rename(columns=new_names(name, frame.columns))
    version = frame["schema_version"].where(~frame["schema_version"].isin(READABLE), SCHEMA_VERSION)
    frame = frame.assign(schema_version=version)
    if name == COST:
        return frame if "fabric_group" in frame else frame.assign(fabric_group=pd.Series(dtype="str"))
    if name == "invocations" and "provider_start" not in frame:
        starts = pa.array([PROVIDER_STARTS.get(platform) for platform in frame["platform"]], pa.string())
        frame = frame.assign(provider_start=starts.to_pandas().set_axis(frame.index))
    columns, values = schema(TABLES[name]), defaults(TABLES[name])
    younger = {
        column.name: pa.array([values[column.name]] * len(frame), column.type).to_pandas().set_axis(frame.index)
        for column in columns
        if column.name in values and column.name not in frame
    }
    return frame.assign(**younger).reindex(columns=columns.names)


def _check_versions(experiment: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    for name in TABLES:
        found = set(frames[name]["schema_version"]) - set(READABLE)
        if found:
            raise SchemaVersionError(
                f"{experiment}/{name}.parquet has schema_version {', '.join(map(str, sorted(found)))}; this code reads "
                f"versions {' and '.join(map(str, READABLE))}. Read it with the commit that made it (column commit of "
                "runs)"
            )
