"""One experiment on a bad day: what ``scripts/bad_day.py`` does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from rich.console import Console

from experiments.config.backend_settings import data_settings, job_of
from experiments.config.compose import compose_cells
from experiments.runs.cell import run_cell
from metrics.analysis.loading import load_all
from metrics.collect.tables import load
from metrics.plots.draw import draw
from serverless.storage.local_server import start_minio
from task.data import load_mnist
from tests.faults.proxy import faulty
from tests.faults.random_day import function_rates, store_steps
from tests.support.replay import counted, replay

CHILD = (sys.executable, "-m", "tests.faults.child")
WORDS = (
    "experiment=faults",
    "backends=[openwhisk]",
    "model=mlp50",
    "optimizer=adam",
    "clients=10",
    "clients_per_round=10",
    "partition=iid",
    "batch_size=100",
    "local_epochs=2",
    "rounds=6",
    "round_policy=first_k",
    "round_policy.k=8",
    "platform.client.memory_mb=256",
    "platform.client.timeout_s=8",
    "platform.aggregator.memory_mb=256",
    "platform.request_timeout_s=2",
    "platform.blocking_s=5",
    "store=minio",
)


def _shown(out: Path) -> Path:
    """Return a path as a configuration should hold it: it is kept in the tables."""
    return out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out


def live(folder: Path, out: Path, seed: int) -> int:
    """Make the run, with servers and plans in ``folder`` and tables in ``out``; return the exit code."""
    (folder / "functions.json").write_text(json.dumps(function_rates(seed, more_often=2)))
    os.environ |= {"FAULTS_FOLDER": str(folder), "FAULTS_SEED": str(seed)}
    with start_minio(folder / "minio", folder / "minio.log") as s3, faulty(f"http://{s3.endpoint}") as proxy:
        os.environ |= s3.env
        proxy.plan(*store_steps(seed, more_often=2))
        (cell,) = compose_cells([*WORDS, f"seeds=[{seed}]", f"store.endpoint={proxy.endpoint}", f"out={_shown(out)}"])
        result = run_cell(cell, Console(), CHILD)
    if result.failed:
        print(result.failed[0].error, file=sys.stderr)
        return 1
    tables = load(out)
    rounds = tables["rounds"].sort_values("server_round")
    participants = counted(tables["invocations"], rounds.server_round)
    learnt = replay(job_of(cell.config, seed), load_mnist(data_settings(cell.config)), participants)
    if rounds.weights_sha256.tolist() != learnt:
        print("the weights are not those of the counted updates", file=sys.stderr)
        return 1
    for path in draw(out, load_all([out]), ["faults"]).files:
        print(path)
    print("every round has the weights of its counted updates, averaged afresh")
    return 0
