"""What a cold start takes: a fresh process up to a client that is ready to train, in two checkouts side by side.

    git worktree add /tmp/before 2f3cdd8 && python scripts/benchmark_cold_start.py /tmp/before . --model nn -n 12

The order is drawn at random within each pair. CPU seconds (user and system) also hold on a busy machine; wall seconds
do not. Memory is the peak of resident bytes.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

COLD_START = """
import serverless.functions.client
from task.engines.engine import Terms, engine_name, load_engine
load_engine(engine_name({model!r})).trainer({model!r}, "adam", 1e-3, 10, Terms())
"""
Taken = tuple[float, float, float]  # wall seconds, CPU seconds, MiB


def cold_start(checkout: Path, model: str) -> Taken:
    """Start one process in ``checkout``, and return what it took until its end."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COLD_START.format(model=model)],
        cwd=checkout,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"a cold start in {checkout} failed with status {os.waitstatus_to_exitcode(status)}")
    process.returncode = 0
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure, and print the medians with the lowest and highest values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--model", default="nn", help="nn, cnn or mlp50 (default nn)")
    parser.add_argument("-n", type=int, default=10, help="cold starts of each (default 10)")
    arguments = parser.parse_args()
    checkouts = [checkout.resolve() for checkout in arguments.checkouts]
    taken: dict[Path, list[Taken]] = {checkout: [] for checkout in checkouts}
    for checkout in checkouts:
        cold_start(checkout, arguments.model)  # compiles bytecode
    for _ in range(arguments.n):
        for checkout in random.sample(checkouts, len(checkouts)):
            taken[checkout].append(cold_start(checkout, arguments.model))
    for checkout, rows in taken.items():
        print(f"{checkout}: {arguments.model}, n = {arguments.n}")
        for name, values in zip(("wall, s", "CPU, s", "peak, MiB"), zip(*rows, strict=True), strict=True):
            print(f"  {name:<10} median {statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
