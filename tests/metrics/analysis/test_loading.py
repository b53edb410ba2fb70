"""Tables of other machines and other schemas are refused unless one says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from metrics.analysis.loading import MACHINE, MixedTablesError, differing_columns, load_all
from metrics.collect.row_files import append
from metrics.collect.row_types import SCHEMA_VERSION, TABLES, RunRow
from metrics.collect.schema import schema
from metrics.collect.tables import SchemaVersionError, collect, load

Makers = dict[str, Callable[..., Any]]
GIB = 2**30


@pytest.fixture
def experiment(tmp_path: Path, row_makers: Makers) -> Callable[..., Path]:
    def make(name: str, run_id: str, **changes: Any) -> Path:
        directory = tmp_path / name / "runs" / run_id
        directory.mkdir(parents=True)
        rounds = [row_makers["rounds"](run_id, number) for number in (1, 2)]
        append(directory, row_makers["runs"](run_id, rounds, experiment=name, **changes))
        append(directory, *rounds)
        collect(tmp_path / name)
        return tmp_path / name

    return make


def of_another_version(folder: Path, name: str) -> None:
    path = folder / f"{name}.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("schema_version")
    column = [SCHEMA_VERSION + 6] * table.num_rows
    pq.write_table(table.set_column(place, table.schema.field(place), [column]).drop_columns(["started_at"]), path)


def test_results_of_one_machine_are_one_experiment(experiment: Callable[..., Path]) -> None:
    merged = load_all([experiment("one", "a"), experiment("two", "b")])
    assert list(merged["runs"]["run_id"]) == ["a", "b"]
    assert list(merged["rounds"]["run_id"]) == ["a", "a", "b", "b"]
    assert list(merged["invocations"].columns) == schema(TABLES["invocations"]).names


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu_model": "Another CPU"}, "cpu_model is An invented CPU, Another CPU"),
        ({"cores": 64}, "cores is 2, 64"),
        ({"memory_bytes": 16 * GIB}, "memory_bytes is"),
        ({"cgroup_cpu_cores": 1.5}, "cgroup_cpu_cores is none, 1.5"),
        ({"cgroup_memory_bytes": GIB}, "cgroup_memory_bytes is none"),
    ],
)
def test_other_machines_are_refused_by_the_columns_that_differ(
    change: dict[str, Any], said: str, experiment: Callable[..., Path]
) -> None:
    folders = [experiment("one", "a"), experiment("two", "b", **change)]
    with pytest.raises(MixedTablesError, match="different machines") as refused:
        load_all(folders)
    assert said in str(refused.value)
    assert "mixed=true" in str(refused.value)
    assert [column for column in MACHINE if f" {column} is" in str(refused.value)] == list(change)
    assert len(load_all(folders, mixed=True)["runs"]) == 2


def test_one_folder_may_hold_two_machines_too(experiment: Callable[..., Path]) -> None:
    experiment("one", "a")
    folder = experiment("one", "b", cores=64)
    with pytest.raises(MixedTablesError, match="cores is 2, 64"):
        load_all([folder])


def test_a_little_less_memory_is_the_same_machine(experiment: Callable[..., Path]) -> None:
    folder = experiment("two", "b", memory_bytes=8 * GIB - 5000)
    assert differing_columns(load_all([experiment("one", "a"), folder])["runs"]) == []


def test_the_same_run_twice_is_refused_always(experiment: Callable[..., Path]) -> None:
    folders = [experiment("one", "a"), experiment("two", "a")]
    with pytest.raises(MixedTablesError, match=r"run a is in .*one and in .*two"):
        load_all(folders, mixed=True)


@pytest.mark.parametrize("name", ["runs", "rounds"])
def test_another_schema_version_is_refused_and_named(name: str, experiment: Callable[..., Path]) -> None:
    folder = experiment("one", "a")
    of_another_version(folder, name)
    with pytest.raises(
        SchemaVersionError, match=rf"{name}\.parquet has schema_version {SCHEMA_VERSION + 6}; .* version"
    ):
        load(folder)
    with pytest.raises(MixedTablesError, match="mixed=true"):
        load_all([folder, experiment("two", "b")])


def test_columns_that_another_version_lacks_are_null_when_mixed(experiment: Callable[..., Path]) -> None:
    old = experiment("one", "a")
    of_another_version(old, "runs")
    runs = load_all([old, experiment("two", "b")], mixed=True)["runs"].set_index("run_id")
    assert list(runs.reset_index().columns) == schema(RunRow).names
    assert runs["started_at"].isna().to_dict() == {"a": True, "b": False}
