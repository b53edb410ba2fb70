"""Makes one experiment on a bad day, for the figure of a run under faults.

    python -m tests.faults.bad_day                     # results/evidence/faults, and its figure
    python -m tests.faults.bad_day --seed 4 --out results/another_day

Ten clients, six rounds that close after the first eight updates, real MNIST, functions of the small network on the
embedded server, their objects on MinIO. Proxies break connections, answers and objects, and functions fail, at random
by the seed, about twice as often as in a soak. The tables are those of any experiment. At the end every round's weights
must be the average of the updates that the round counted, computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from experiments.config.backend_settings import data_settings, job_of
from experiments.config.compose import compose_cells
from experiments.runs.cell import run_cell
from metrics.analysis.loading import load_all
from metrics.collect.tables import load
from metrics.plots.draw import draw
from task.data import load_images
from tests.faults.proxy import faulty
from tests.faults.random_day import function_rates, store_steps
from tests.support.local_s3 import start_minio
from tests.support.replay import counted, replay

ROOT = Path(__file__).resolve().parents[2]
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
    learnt = replay(job_of(cell.config, seed), load_images("mnist", data_settings(cell.config)), participants)
    if rounds.weights_sha256.tolist() != learnt:
        print("the weights are not those of the counted updates", file=sys.stderr)
        return 1
    for path in draw(out, load_all([out]), ["faults"]).files:
        print(path)
    print("every round has the weights of its counted updates, averaged afresh")
    return 0


def main() -> int:
    """Make the run and draw it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="decides the faults (default: %(default)s)")
    default = ROOT / "results" / "evidence" / "faults"
    parser.add_argument("--out", type=Path, default=default, help="folder of the tables (default: %(default)s)")
    options = parser.parse_args()
    os.chdir(ROOT)  # where the run's own process finds what breaks it
    with tempfile.TemporaryDirectory(prefix="fl-bad-day-") as folder:
        return live(Path(folder), options.out, options.seed)


if __name__ == "__main__":
    sys.exit(main())
