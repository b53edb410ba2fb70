"""Results on disk: rows as JSON lines, and tables as Parquet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from metrics.collect.row_files import RowsError, read_rows
from metrics.collect.row_types import TABLES, InvocationRow, SampleRow
from metrics.collect.schema import schema
from metrics.collect.tables import SchemaVersionError, TableError, load
from tests.fuzz.formats import memory
from tests.fuzz.target import Target

CALL = InvocationRow(run_id="r", server_round=1, function="client", attempt=1, status="success", submitted_at=1.5)
SAMPLE = SampleRow(run_id="r", sampled_at=1.5, role="client", processes=1, cpu_s=0.5, rss_bytes=7)


def read_lines(data: bytes) -> None:
    """What is read can be written as Parquet and as CSV, as :func:`metrics.collect.tables.collect` does."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        path = Path(folder, "rows.jsonl")
        path.write_bytes(data)
        for row in (InvocationRow, SampleRow):
            try:
                table = read_rows(path, row)
            except RowsError as error:
                str(error).encode()
                continue
            pq.write_table(table, pa.BufferOutputStream())
            pyarrow.csv.write_csv(table, pa.BufferOutputStream())
            [row(**values) for values in table.to_pylist()]


def read_parquet(data: bytes) -> None:
    """An experiment with one foreign file."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        for name in TABLES:
            Path(folder, f"{name}.parquet").write_bytes(EMPTY[name])
        Path(folder, "samples.parquet").write_bytes(data)
        load(Path(folder))


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


EMPTY = {name: _parquet(schema(row).empty_table()) for name, row in TABLES.items()}


def _lines() -> Iterator[bytes]:
    for row in (CALL, SAMPLE):
        yield 2 * (json.dumps(asdict(row)) + "\n").encode() + b'{"half'
    yield b'{"run_id": "r", "schema_version": 1, "peak_memory_bytes": 1, "platform": "openfaas"}\n'


def _files() -> Iterator[bytes]:
    yield EMPTY["samples"]
    yield _parquet(pa.Table.from_pylist([asdict(SAMPLE)] * 2, schema=schema(SampleRow)))


WORDS = ("1e400", "9" * 20, "NaN", "null", '"\\ud800"', "[[[[", "{}\n", '"schema_version": 9', '"platform": [],')
RESULTS = {
    "rows": Target(read_lines, (), _lines, WORDS),
    "parquet": Target(read_parquet, (TableError, SchemaVersionError), _files, ("PAR1", "pandas")),
}
