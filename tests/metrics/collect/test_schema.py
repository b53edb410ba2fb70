"""Rows and tables of version 1 are read with the names of version 2; what is written is of version 2."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from metrics.collect.row_files import append, read_run
from metrics.collect.row_types import SCHEMA_VERSION, TABLES
from metrics.collect.schema import schema
from metrics.collect.tables import collect, load

REPOSITORY = Path(__file__).parents[3]
KEPT = (
    REPOSITORY / "results/evidence/quickstart",
    REPOSITORY / "results/evidence/faults",
    REPOSITORY / "notebooks/data/smoke",
)
OLD_NAMES = {
    "runs": {"peak_total_rss_bytes": "peak_memory_bytes"},
    "rounds": {"largest_worker_peak_rss_bytes": "peak_memory_bytes", "updates": "clients"},
    "invocations": {"worker_peak_rss_bytes": "peak_memory_bytes"},
    "samples": {},
}


@pytest.fixture
def folder(tmp_path, row_makers):
    """A run's rows as version 1 left them, and the experiment around it."""
    directory = tmp_path / "runs" / "r"
    directory.mkdir(parents=True)
    rounds = [row_makers["rounds"]("r", number) for number in (1, 2)]
    append(directory, row_makers["runs"]("r", rounds))
    append(directory, *rounds)
    append(directory, row_makers["invocations"]("r", 1, 0, worker_peak_rss_bytes=7))
    append(directory, *row_makers["samples"]("r", {"client": 1.0}))
    for name, old in OLD_NAMES.items():
        path = directory / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [{old.get(key, key): value for key, value in row.items()} | {"schema_version": 1} for row in rows]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def values(tables):
    return [
        tables["runs"]["peak_total_rss_bytes"].to_list(),
        tables["rounds"]["largest_worker_peak_rss_bytes"].to_list(),
        tables["rounds"]["updates"].to_list(),
        tables["invocations"]["worker_peak_rss_bytes"].to_list(),
    ]


WRITTEN = [[900 * 2**20], [300 * 2**20] * 2, [10, 10], [7]]


def test_lines_of_version_1_are_rows_of_today(folder):
    collected = collect(folder)
    assert values(collected) == WRITTEN
    for name, row in TABLES.items():
        table = pq.read_table(folder / f"{name}.parquet")
        assert table.schema.equals(schema(row))
        assert set(table["schema_version"].to_pylist()) == {SCHEMA_VERSION}


def test_a_run_that_goes_on_has_lines_of_both_versions(folder, row_makers):
    directory = folder / "runs" / "r"
    append(directory, row_makers["rounds"]("r", 3, updates=4))
    assert read_run(directory, "rounds")["updates"].to_pylist() == [10, 10, 4]
    assert set(read_run(directory, "rounds")["schema_version"].to_pylist()) == {SCHEMA_VERSION}


def test_tables_of_version_1_get_the_names_of_today(folder):
    collect(folder)
    for name, old in OLD_NAMES.items():
        path = folder / f"{name}.parquet"
        table = pq.read_table(path)
        place = table.schema.get_field_index("schema_version")
        table = table.set_column(place, table.schema.field(place), [[1] * table.num_rows])
        pq.write_table(table.rename_columns([old.get(column, column) for column in table.column_names]), path)
    tables = load(folder)
    assert values(tables) == WRITTEN
    for name, row in TABLES.items():
        assert list(tables[name].columns) == schema(row).names
        assert set(tables[name]["schema_version"]) == {SCHEMA_VERSION}


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_kept_results_are_read_with_the_names_of_today(folder):
    tables = load(folder)
    for name, renamed in OLD_NAMES.items():
        kept = pq.read_table(folder / f"{name}.parquet")
        assert list(tables[name].columns) == schema(TABLES[name]).names
        for new, old in renamed.items():
            found = kept[old if old in kept.column_names else new].to_pandas()
            assert found.notna().any()
            pd.testing.assert_series_equal(tables[name][new], found, check_names=False)
