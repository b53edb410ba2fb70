"""What a cold start takes in two checkouts, side by side.

    git worktree add /tmp/before 2f3cdd8 && python scripts/benchmark_cold_start.py /tmp/before . --model nn -n 12

Two things are measured: a fresh process up to a client that is ready to train, and with ``--embedded`` the first call
of the client function on an embedded OpenWhisk, started for each. The order is drawn at random within each pair. CPU
seconds (user and system) also hold on a busy machine; wall seconds do not. Memory is the peak of resident bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

PROCESS = """
import json, os, resource, subprocess, sys, time
program = '''
import serverless.functions.client
from task.engines import engine
terms = [engine.Terms()] if hasattr(engine, "Terms") else []  # older checkouts have none
engine.load_engine(engine.engine_name({model!r})).trainer({model!r}, "adam", 1e-3, 10, *terms)
'''
start = time.perf_counter()
subprocess.run([sys.executable, "-c", program], check=True)
wall_s, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
taken = {{"wall, s": wall_s, "CPU, s": used.ru_utime + used.ru_stime, "peak, MiB": used.ru_maxrss / 1024}}
print(json.dumps(taken))
"""
EMBEDDED = """
import json, tempfile, time
from pathlib import Path
import psutil
from serverless.platforms.openwhisk.deploy import open_platform
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from task.engines.engine import engine_name
function = FunctionSpec("client", memory_mb=1024, timeout_s=60, engine=engine_name({model!r}))
with tempfile.TemporaryDirectory() as folder, open_platform(OpenWhiskSettings(), Path(folder, "log")) as platform:
    platform.deploy(function)
    start = time.perf_counter()
    invocation = platform.invoke(function, {{}})  # there is nothing to train on: only the start counts
    client_s = time.perf_counter() - start
    (container,) = [one for one in psutil.Process().children(recursive=True) if "action_proxy" in str(one.cmdline())]
    used, status = container.cpu_times(), Path(f"/proc/{{container.pid}}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
taken = {{"client, s": client_s, "init, s": invocation.init_s, "CPU, s": used.user + used.system, "peak, MiB": peak}}
print(json.dumps(taken))
"""


def cold_start(checkout: Path, program: str) -> dict[str, float]:
    """Run a program in a checkout, and return what it says that the cold start took."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a cold start in {checkout} failed:\n{done.stderr[-2000:]}")
    taken: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return taken


def main() -> None:
    """Measure, and print the medians with the lowest and highest values, and the ratios to the first checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--model", default="nn", help="nn, cnn or mlp50 (default nn)")
    parser.add_argument("--embedded", action="store_true", help="a container of the embedded OpenWhisk, not a process")
    parser.add_argument("-n", type=int, default=10, help="cold starts of each (default 10)")
    arguments = parser.parse_args()
    program = (EMBEDDED if arguments.embedded else PROCESS).format(model=arguments.model)
    checkouts = [checkout.resolve() for checkout in arguments.checkouts]
    taken: dict[Path, list[dict[str, float]]] = {checkout: [] for checkout in checkouts}
    for checkout in checkouts:
        cold_start(checkout, program)  # compiles bytecode
    for _ in range(arguments.n):
        for checkout in random.sample(checkouts, len(checkouts)):
            taken[checkout].append(cold_start(checkout, program))
    first = taken[checkouts[0]]
    for checkout, rows in taken.items():
        print(f"{checkout}: {arguments.model}, n = {arguments.n}, load {os.getloadavg()[0]:.1f}")
        for name in rows[0]:
            values, median = [row[name] for row in rows], statistics.median(row[name] for row in rows)
            ratio = median / statistics.median(row[name] for row in first)
            print(f"  {name:<10} median {median:8.2f}  ({min(values):.2f} to {max(values):.2f})  ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
