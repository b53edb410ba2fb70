"""Rows survive a kill, a round trip through both files, and stay typed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.collect.row_files import RowsError, append, read_run
from metrics.collect.row_types import TABLES, SampleRow
from metrics.collect.schema import schema
from metrics.collect.tables import TableError, collect, load

Makers = dict[str, Callable[..., Any]]


def test_the_tables_hold_the_columns_that_others_rely_on() -> None:
    promised = {
        "runs": "run_id backend platform emulated seed status partition_sha256 initial_weights_sha256 "
        "final_weights_sha256 rounds best_test_accuracy rounds_to_target wall_s cpu_s peak_total_rss_bytes",
        "rounds": "run_id server_round test_accuracy test_loss round_s unattributed_s",
        "invocations": "run_id server_round function client_id attempt activation_id status error_kind is_cold "
        "client_s provider_s function_s train_s cpu_s worker_peak_rss_bytes bytes_in bytes_out num_examples",
        "samples": "run_id role cpu_s",
    }
    for name, columns in promised.items():
        assert set(columns.split()) <= set(schema(TABLES[name]).names)


def test_every_phase_has_a_column_in_rounds() -> None:
    from metrics.collect.phases import PHASES

    assert {f"{phase}_s" for phase in PHASES} <= set(schema(TABLES["rounds"]).names)


def test_types_and_nullability_follow_the_annotations() -> None:
    runs = schema(TABLES["runs"])
    assert runs.field("seed").equals(pa.field("seed", pa.int64(), nullable=False))
    assert runs.field("rounds_to_target").equals(pa.field("rounds_to_target", pa.int64(), nullable=True))
    assert runs.field("emulated").type == pa.bool_()
    assert runs.field("schema_version").type == pa.int64()


text = st.text(st.characters(codec="utf-8"))
samples = st.builds(
    SampleRow,
    run_id=text,
    sampled_at=st.floats(allow_nan=False),
    role=text,
    processes=st.integers(0, 2**62),
    cpu_s=st.floats(allow_nan=False),
    rss_bytes=st.integers(0, 2**62),
)


@given(st.lists(samples, min_size=1, max_size=5))
def test_rows_come_back_as_they_were_appended(tmp_path_factory: pytest.TempPathFactory, rows: list[SampleRow]) -> None:
    directory = tmp_path_factory.mktemp("run")
    append(directory, *rows[:1])
    if rows[1:]:
        append(directory, *rows[1:])
    assert [SampleRow(**row) for row in read_run(directory, "samples").to_pylist()] == rows


@given(cut=st.integers(1, 100))
def test_a_killed_run_loses_the_half_written_line_only(
    tmp_path_factory: pytest.TempPathFactory, row_makers: Makers, cut: int
) -> None:
    directory = tmp_path_factory.mktemp("run")
    row = row_makers["rounds"]()
    append(directory, row, replace(row, server_round=2))
    path = directory / "rounds.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])  # killed in the middle of the second line
    assert read_run(directory, "rounds")["server_round"].to_pylist() == [1]
    append(directory, replace(row, server_round=3))  # and goes on
    assert read_run(directory, "rounds")["server_round"].to_pylist() == [1, 3]


def test_a_half_written_only_line_is_dropped_too(tmp_path: Path, row_makers: Makers) -> None:
    (tmp_path / "rounds.jsonl").write_text('{"run_id": "r", "server_ro')
    assert read_run(tmp_path, "rounds").num_rows == 0
    append(tmp_path, row_makers["rounds"]())
    assert read_run(tmp_path, "rounds").num_rows == 1


def test_a_run_without_rows_has_an_empty_table(tmp_path: Path) -> None:
    assert read_run(tmp_path, "invocations").schema == schema(TABLES["invocations"])


def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, row_makers: Makers) -> None:
    append(tmp_path, row_makers["rounds"](updates="ten"))
    with pytest.raises(RowsError, match=r"rounds\.jsonl, line 1: is no row of the table rounds .*ten"):
        read_run(tmp_path, "rounds")


@pytest.mark.parametrize(
    "line", ["[]", "7", "{}", "{", "[" * 100_000, '{"server_round": 1e400}', '{"run_id": "\\ud800"}', "\udcff"]
)
def test_a_line_that_is_no_row_is_named(line: str, tmp_path: Path, row_makers: Makers) -> None:
    append(tmp_path, row_makers["rounds"](), row_makers["rounds"]())
    path = tmp_path / "rounds.jsonl"
    path.write_bytes(path.read_bytes() + line.encode(errors="surrogateescape") + b"\n" + path.read_bytes())
    with pytest.raises(RowsError, match=r"rounds\.jsonl, line 3: is no row of the table rounds"):
        read_run(tmp_path, "rounds")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"a,b\n1,2\n", "other"])
def test_a_file_that_is_no_table_is_named(data: bytes | str, make_experiment: Callable[..., Path]) -> None:
    path = make_experiment() / "rounds.parquet"
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        pq.write_table(pa.table({"other": [1]}), path)
    with pytest.raises(TableError, match=r"rounds\.parquet is no table of an experiment"):
        load(path.parent)


def test_collected_tables_hold_all_runs_in_both_files(make_experiment: Callable[..., Path]) -> None:
    experiment = make_experiment(seeds=(0, 1), rounds=3)
    tables = load(experiment)
    assert sorted(tables["runs"]["run_id"]) == sorted(p.name for p in (experiment / "runs").iterdir())
    assert len(tables["rounds"]) == 3 * 6
    assert len(tables["invocations"]) == 10 * 3 * 6
    for name, row in TABLES.items():
        assert pq.read_schema(experiment / f"{name}.parquet").equals(schema(row))
        with (experiment / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(tables[name])
        assert list(rows[0]) == schema(row).names


def test_whole_numbers_stay_whole_beside_nulls_in_the_csv(tmp_path: Path, row_makers: Makers) -> None:
    directory = tmp_path / "runs" / "r"
    directory.mkdir(parents=True)
    client = row_makers["invocations"]("r", 1, 7)
    append(directory, client, replace(client, function="aggregator", client_id=None, is_cold=None))
    collect(tmp_path)
    with (tmp_path / "invocations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["client_id"] for row in rows] == ["7", ""]
    assert [row["is_cold"] for row in rows] == ["false", ""]


def test_an_experiment_without_runs_collects_to_empty_tables(tmp_path: Path) -> None:
    frames = collect(tmp_path)
    assert all(frame.empty for frame in frames.values())
    assert list(load(tmp_path)["runs"].columns) == schema(TABLES["runs"]).names


def test_a_folder_without_tables_says_what_to_name_instead(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no runs\.parquet: name the folder of an experiment"):
        load(tmp_path)


def test_not_measured_is_null_and_zero_is_zero(tmp_path: Path, row_makers: Makers) -> None:
    append(tmp_path, row_makers["rounds"](cpu_s=None), row_makers["rounds"](server_round=2, cpu_s=0.0))
    assert read_run(tmp_path, "rounds")["cpu_s"].to_pylist() == [None, 0.0]
    assert pd.isna(read_run(tmp_path, "rounds").to_pandas()["cpu_s"][0])


def test_a_row_is_one_line_whatever_its_text_holds(tmp_path: Path, row_makers: Makers) -> None:
    run = row_makers["runs"]("r", [], error="line one\nline two\u2028three", status="failed")
    append(tmp_path, run)
    assert read_run(tmp_path, "runs").to_pylist() == [asdict(run)]


def test_rows_from_before_provider_start_get_it_from_their_platform(tmp_path: Path, row_makers: Makers) -> None:
    make, platforms = row_makers["invocations"], ("openwhisk", "openfaas", "google", None)
    rows = [make("run", 1, client, platform=platform, provider_s=1.0) for client, platform in enumerate(platforms)]
    directory = tmp_path / "runs" / "run"
    directory.mkdir(parents=True)
    append(directory, row_makers["runs"]("run", []))
    old = ({name: value for name, value in asdict(row).items() if name != "provider_start"} for row in rows)
    (directory / "invocations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old), encoding="utf-8")
    expected = ["reported", "excluded", None, None]
    assert read_run(directory, "invocations").column("provider_start").to_pylist() == expected

    collect(tmp_path)
    path = tmp_path / "invocations.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["provider_start"]), path)
    assert load(tmp_path)["invocations"]["provider_start"].astype(object).where(lambda v: v.notna(), None).tolist() == (
        expected
    )
