"""The four tidy tables: their columns, their types, and how they get on disk.

While a run goes on, each row is appended to ``<table>.jsonl`` in the run's own folder and flushed, so that a
killed run loses at most the round in flight. :func:`collect` turns the runs of an experiment into one
Parquet and one CSV file per table. Units are in the names: ``_s`` seconds, ``_bytes`` bytes, ``_usd`` US
dollars; ``_at`` are seconds since the epoch. A value that was not measured is null, never zero.
"""

from __future__ import annotations

import fcntl
import json
import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from machine.files import write_whole
from metrics.collect.cost_table import COST

Tables = Mapping[str, pd.DataFrame]
RUNS = "runs"  # the folder of an experiment that has a folder for each of its runs


SCHEMA_VERSION = 1
PROCESSES = "processes"  # where a sample comes from: the process tree of the machine that the run was started on


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One row per run: one backend, one seed, one resolved configuration."""

    run_id: str
    schema_version: int = SCHEMA_VERSION
    experiment: str
    backend: str
    platform: str | None  # openwhisk, or null where no FaaS platform is involved
    emulated: bool  # true if the platform was the embedded server
    runtime: str  # how the backend ran: "pool", "simulation", "deployment", "embedded", "cluster"
    store: str | None  # directory, minio, or null
    seed: int
    status: str  # success, failed, interrupted
    error: str | None
    # what was learnt
    model: str
    optimizer: str
    learning_rate: float
    batch_size: int
    local_epochs: int
    clients: int
    clients_per_round: int
    max_rounds: int
    target_accuracy: float | None
    optimizer_state: str
    partition: str
    partition_sha256: str
    dataset_sha256: str
    initial_weights_sha256: str
    final_weights_sha256: str | None
    rounds: int
    resumes: int = 0  # how often it went on after it had been cut off; the times below are sums over its parts
    best_test_accuracy: float | None
    final_test_accuracy: float | None
    rounds_to_target: int | None  # null: not reached within `rounds` (censored), or no target
    # what it took
    started_at: float
    setup_s: float  # from the start of the run's process to its first round
    learning_s: float  # sum of round_s
    teardown_s: float
    wall_s: float
    cpu_s: float | None  # every process of the run, the backend's own machinery included
    sampled_cpu_s: float | None = None  # of these, what `samples` shows by role at its end
    sampler_cpu_s: float | None = None  # what taking the samples used; not part of cpu_s
    peak_memory_bytes: int | None  # highest sum of resident sets over the run's processes, from `samples`
    workers: int  # how many clients may train at once
    threads_per_client: int
    # where it ran
    commit: str | None
    dirty: bool | None
    python_version: str
    packages: str  # JSON object: name -> version
    os: str
    cpu_model: str
    cores: int
    memory_bytes: int
    cgroup_cpu_cores: float | None
    cgroup_memory_bytes: int | None
    config: str  # JSON object: the resolved configuration
    cluster: str | None = None  # JSON object: what the cluster told, where one was watched


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """One row per run and round; the phases and ``unattributed_s`` add up to ``round_s``."""

    run_id: str
    schema_version: int = SCHEMA_VERSION
    server_round: int
    part: int = 0  # how often the run had been resumed before
    started_at: float
    test_accuracy: float
    test_loss: float
    weights_sha256: str
    clients: int  # updates that were averaged
    num_examples: int
    attempts: int
    failures: int
    stragglers: int = 0  # attempts that were still out when the round was closed: their rows are discarded ones
    cold_starts: int
    cpu_s: float | None  # CPU seconds of the round's work: clients, averaging and evaluation
    peak_memory_bytes: int | None  # the largest worker of the round
    round_s: float
    select_s: float
    publish_s: float
    invoke_s: float
    runtime_start_s: float
    wait_s: float
    cold_start_s: float
    compile_s: float
    fetch_s: float
    train_s: float
    store_s: float
    poll_s: float
    aggregate_s: float
    evaluate_s: float
    unattributed_s: float


@dataclass(frozen=True, kw_only=True)
class InvocationRow:
    """One row per run, round, function, client and attempt; failed attempts too.

    Clocks are nested: ``function_s`` (the worker's own) within ``provider_s`` (the platform's record: its
    ``duration``, which includes ``init_s`` on a cold start) within ``client_s`` (the controller's).
    """

    run_id: str
    schema_version: int = SCHEMA_VERSION
    server_round: int
    part: int = 0  # how often the run had been resumed before
    function: str  # client, aggregator; invoker, of one that invoked the client of that attempt and waited for it
    client_id: int | None
    attempt: int
    platform: str | None
    activation_id: str | None
    status: str  # success, failed, discarded
    error_kind: str | None
    is_cold: bool | None
    submitted_at: float
    client_s: float | None
    provider_s: float | None
    function_s: float | None
    platform_wait_s: float | None
    init_s: float | None
    cold_start_s: float | None
    compile_s: float | None
    fetch_s: float | None
    train_s: float | None
    store_s: float | None
    aggregate_s: float | None
    evaluate_s: float | None
    cpu_s: float | None
    peak_memory_bytes: int | None
    memory_source: str | None
    cgroup_cpu_s: float | None = None  # what the worker's own control group counted, if it had one
    cgroup_peak_memory_bytes: int | None = None
    cgroup_source: str | None = None
    fabric_group: str | None = None  # of a client: the fabric's group that it belongs to
    cpu_share: float | None = None  # of a core that its local platform gave it
    cpu_share_by: str | None = None  # cgroup: by the kernel; simulated: its answers were held back
    memory_limit_bytes: int | None
    bytes_in: int | None
    bytes_out: int | None
    num_examples: int | None
    train_loss: float | None


@dataclass(frozen=True, kw_only=True)
class SampleRow:
    """One row per run, moment and role: of the run's processes here, or of its pods in a cluster."""

    run_id: str
    schema_version: int = SCHEMA_VERSION
    sampled_at: float
    role: str  # controller, client, aggregator, emulator, object_store, flower, ray; in a cluster openwhisk, prewarmed
    processes: int  # or pods
    cpu_s: float  # CPU seconds of the role's processes so far, those that have ended included
    rss_bytes: int  # sum of their resident sets; pages that they share count in each; of pods the working sets
    source: str | None = PROCESSES  # or metrics.k8s.io
    requested_cpu_cores: float | None = None  # of pods: what they asked the scheduler for
    requested_memory_bytes: int | None = None


Row = RunRow | RoundRow | InvocationRow | SampleRow
TABLES: dict[str, type[Row]] = {
    "runs": RunRow,
    "rounds": RoundRow,
    "invocations": InvocationRow,
    "samples": SampleRow,
}
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema(row: type[Row]) -> pa.Schema:
    """Return the Arrow schema of a table: its columns in order, with type and nullability."""
    hints = typing.get_type_hints(row)
    return pa.schema([_column(column.name, hints[column.name]) for column in fields(row)])


def _column(name: str, hint: object) -> pa.Field:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    (kind,) = [option for option in options if option is not types.NoneType]
    return pa.field(name, _ARROW[kind], nullable=types.NoneType in options)


def append(directory: Path, *rows: Row) -> None:
    """Append rows of one kind to their table in a run's folder, and force them to disk."""
    path, lines = _lines(directory, rows)
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two processes write `samples`: none must see half a line of the other
        _drop_half_line(file)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def rewrite(directory: Path, *rows: Row) -> None:
    """Put rows of one kind in place of all of their table in a run's folder, whole or not at all."""
    write_whole(*_lines(directory, rows))


def _lines(directory: Path, rows: Sequence[Row]) -> tuple[Path, bytes]:
    """Return the file of rows of one kind, and what they are in it."""
    name = next(name for name, row in TABLES.items() if isinstance(rows[0], row))
    return directory / f"{name}.jsonl", "".join(json.dumps(asdict(row)) + "\n" for row in rows).encode()


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

    Columns that are younger than the file have the values that they have by default.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1].splitlines()
    return pa.Table.from_pylist([_defaults(row) | json.loads(line) for line in whole], schema=schema(row))


def _defaults(row: type[Row]) -> dict[str, Any]:
    return {column.name: column.default for column in fields(row) if column.default is not MISSING}


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
        pq.write_table(table, experiment / f"{name}.parquet")
        pyarrow.csv.write_csv(table, experiment / f"{name}.csv")  # whole numbers stay whole beside nulls
        frames[name] = table.to_pandas()
    return frames


class SchemaVersionError(ValueError):
    """Tables of another schema version, whose columns may mean something else."""


def load(experiment: Path, *, any_version: bool = False) -> dict[str, pd.DataFrame]:
    """Read the collected tables of an experiment, and ``cost`` where it has been priced.

    Parameters
    ----------
    any_version
        Whether to take tables of another schema version as they are, with null or a default for what they do not have.

    Raises
    ------
    FileNotFoundError
        If the folder holds no collected tables.
    SchemaVersionError
        If a table is of another schema version than :data:`SCHEMA_VERSION`.
    """
    missing = [name for name in TABLES if not (experiment / f"{name}.parquet").exists()]
    if missing:
        raise FileNotFoundError(
            f"{experiment} holds no {missing[0]}.parquet: name the folder of an experiment, such as "
            f"results/quickstart, in which `python -m experiments.run` has finished"
        )
    names = [*TABLES, *([COST] if (experiment / f"{COST}.parquet").exists() else [])]
    frames = {name: pd.read_parquet(experiment / f"{name}.parquet") for name in names}
    if not any_version:
        _check_versions(experiment, frames)
    return {name: _with_younger_columns(name, frame) for name, frame in frames.items()}


def _with_younger_columns(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns that were added after it was written, as :func:`read_rows` does."""
    if name == COST:
        return frame if "fabric_group" in frame else frame.assign(fabric_group=pd.Series(dtype="str"))
    columns, defaults = schema(TABLES[name]), _defaults(TABLES[name])
    younger = {
        column.name: pa.array([defaults[column.name]] * len(frame), column.type).to_pandas().set_axis(frame.index)
        for column in columns
        if column.name in defaults and column.name not in frame
    }
    return frame.assign(**younger).reindex(columns=columns.names)


def _check_versions(experiment: Path, frames: dict[str, pd.DataFrame]) -> None:
    for name in TABLES:
        found = set(frames[name]["schema_version"]) - {SCHEMA_VERSION}
        if found:
            raise SchemaVersionError(
                f"{experiment}/{name}.parquet has schema_version {', '.join(map(str, sorted(found)))}; this code reads "
                f"version {SCHEMA_VERSION}. Read it with the commit that made it (column commit of runs)"
            )
