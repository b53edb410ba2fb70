"""Speed, as ratios measured side by side in one run.

    python scripts/benchmark.py training     # the in-graph loop against Keras' fit, one thread
    python scripts/benchmark.py rounds       # each backend's warm rounds against the bare loop
    python scripts/benchmark.py metering     # what measuring itself takes: a sample of a run's processes, a probe
    python scripts/benchmark.py              # all

Absolute times are this machine's; the ratios are what to compare. Repetitions of the two sides alternate, so that a
busy moment of the machine falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent


class NoStopwatch:
    """Times nothing: the benchmark times the whole call."""

    def phase(self, name: str) -> nullcontext[None]:
        """Do nothing."""
        return nullcontext()


def alternate(repetitions: int, *sides: Callable[[], Any]) -> list[float]:
    """Return the median seconds of each side after one warm-up each, taking turns."""
    for side in sides:
        side()
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(repetitions):
        for side, times in zip(sides, seconds, strict=True):
            start = time.perf_counter()
            side()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def benchmark_training(console: Console, repetitions: int) -> None:
    """One client's job of the paper: 600 images, batch 10, 5 epochs, one thread."""
    from task.data import DataSettings, load_images
    from task.engines.runtime import tensorflow
    from task.job import FederatedJob
    from task.models import as_keras, initial_weights, pixels
    from task.partition import make_partition
    from task.training import local_update

    tensorflow()
    import keras

    makers = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "nadam": keras.optimizers.Nadam}
    mnist = load_images("mnist", DataSettings(ROOT / ".cache" / "mnist"))
    table = Table(title=f"Local training of one client: 600 images, batch 10, 5 epochs, 1 thread, n = {repetitions}")
    for column in ("model", "optimizer", "Keras fit, s", "in-graph loop, s", "fit / loop"):
        table.add_column(column, justify="left" if column in ("model", "optimizer") else "right")
    for model in ("nn", "cnn"):
        for optimizer, rate in {"sgd": 0.1, "adam": 1e-3, "nadam": 1e-3}.items():
            job = FederatedJob(model=model, optimizer=optimizer, learning_rate=rate)
            mine = make_partition(job, mnist.train_labels).indices[0]
            images, labels = mnist.train_images[mine], mnist.train_labels[mine]
            start = initial_weights(model, 0)
            reference, inputs = as_keras(model), pixels(images)[..., None]
            reference.compile(makers[optimizer](rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

            def fit(reference: Any = reference, inputs: Any = inputs, labels: Any = labels, start: Any = start) -> None:
                reference.set_weights(list(start.values()))
                reference.fit(inputs, labels, batch_size=10, epochs=5, verbose=0)

            def loop(job: Any = job, start: Any = start, images: Any = images, labels: Any = labels) -> None:
                local_update(job, 0, 1, start, images, labels, None, NoStopwatch())

            fit_s, loop_s = alternate(repetitions, fit, loop)
            table.add_row(model, optimizer, f"{fit_s:.3f}", f"{loop_s:.3f}", f"{fit_s / loop_s:.2f}x")
    console.print(table)


def benchmark_rounds(console: Console, rounds: int) -> None:
    """Quickstart-sized rounds (10 of 100 clients) once warm, every backend on the same machine in one run."""
    import pandas as pd

    table = Table(title=f"Warm rounds, 10 clients each, medians, n = {rounds - 1}")
    for column in ("model", "backend", "round, s", "over inprocess", "unattributed"):
        table.add_column(column, justify="left" if column in ("model", "backend") else "right")
    for model in ("nn", "cnn"):
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "experiments.run", "+exp=quickstart", f"model={model}", f"rounds={rounds}"]
            subprocess.run([*command, f"out={out}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            runs = pd.read_parquet(Path(out) / "runs.parquet").set_index("run_id")["backend"]
            frame = pd.read_parquet(Path(out) / "rounds.parquet").query("server_round > 1")
        frame = frame.assign(backend=frame.run_id.map(runs), share=frame.unattributed_s / frame.round_s)
        medians = frame.groupby("backend")[["round_s", "share"]].median()
        bare_s = medians.loc["inprocess", "round_s"]
        for backend, row in medians.sort_values("round_s").iterrows():
            ratio = f"{row.round_s / bare_s:.2f}x"
            table.add_row(model, str(backend), f"{row.round_s:.3f}", ratio, f"{row.share:.1%}")
    console.print(table)


TREE = """
import subprocess, sys
for _ in range({children}):
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
print("ready", flush=True)
sys.stdin.read()
"""


def benchmark_metering(console: Console, repetitions: int) -> None:
    """CPU time of one sample of a tree of processes, and of one probe."""
    import psutil

    from metrics.collect.probe import Probe
    from metrics.collect.sampler import Sampler

    table = Table(title=f"What measuring takes, means of n = {repetitions}, among {len(psutil.pids())} processes")
    for column in ("what", "CPU, ms", "every, s", "of a core"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for children in (4, 12, 100):
        code = TREE.format(children=children)
        root = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert root.stdin is not None and root.stdout is not None  # both are pipes
        root.stdout.readline()
        with tempfile.TemporaryDirectory() as folder:
            sampler = Sampler("benchmark", Path(folder), root.pid)
            for _ in range(repetitions):
                sampler.sample()
        root.stdin.close()
        root.wait()
        each_s, every_s = sampler.own_cpu_s / repetitions, sampler.interval_s
        table.add_row(
            f"a sample of {children + 1} processes", f"{1000 * each_s:.2f}", f"{every_s:.1f}", f"{each_s / every_s:.2%}"
        )
    start = time.process_time()
    for _ in range(repetitions):
        Probe().report()
    table.add_row("a probe, per piece of work", f"{1000 * (time.process_time() - start) / repetitions:.2f}", "", "")
    console.print(table)


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("training", "rounds", "metering", "all"), default="all")
    parser.add_argument("--repetitions", type=int, default=7, help="of each side, for training (default 7)")
    parser.add_argument("--rounds", type=int, default=9, help="per backend; the first is cold (default 9)")
    arguments = parser.parse_args()
    console = Console()
    if arguments.what in ("training", "all"):
        benchmark_training(console, arguments.repetitions)
    if arguments.what in ("rounds", "all"):
        benchmark_rounds(console, arguments.rounds)
    if arguments.what in ("metering", "all"):
        benchmark_metering(console, repetitions=200)


if __name__ == "__main__":
    main()
