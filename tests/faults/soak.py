"""Makes small rounds with random faults for some minutes, and fails if anything leaks or is lost.

    python -m tests.faults.soak --minutes 30             # the whole soak; a log and a table in results/soak
    python -m tests.faults.soak --minutes 2 --seed 3     # as the tests do it

A keeper makes run after run of five rounds, under each policy in turn, on one embedded server and one S3 server,
through proxies that break connections, answers and objects at random, with client functions that fail at random; the
seed decides which requests and which attempts. Each run's weights must be those of its counted updates, averaged
afresh, and its tables must pass the consistency rules. Every second the processes, file descriptors and resident memory
of the keeper, the embedded server, its containers, the store and this process are written down. Some ten times the
keeper rests until the embedded server has ended its idle containers: what is in use then is not work under way. At the
end it fails

- if what a role uses at rest grows after the warm-up (the first quarter, 4 minutes at most) by more than noise: the
  slope of a linear fit times the time, against the bounds in tests/faults/watch.py;
- if a container is left at a rest;
- if the invocations that the proxy saw are not as many as those in the tables, or a run broke a law;
- if a process is left when all is over.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil

from tests.faults.laws import NEVER_SENT
from tests.faults.random_day import function_rates, platform_steps, store_steps
from tests.faults.watch import Verdict, judge, look, table
from tests.faults.world import TIMEOUT_S, Servers, broken_servers

ROOT = Path(__file__).resolve().parents[2]

EVERY_S = 1.0
KEPT_RECORDS = 500  # of the embedded server: its records are no leak
DESTROY_AFTER_S = 2.0  # at rest no container is left, or it is a leak; ...
LONGEST_REST_S = TIMEOUT_S + DESTROY_AFTER_S + 20.0  # ... the last function may hang until its limit


def main() -> int:
    """Soak as the command line says; return the exit code."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    work = options.out / "work"  # of the servers, and of the runs that go on
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with broken_servers(work, activations_kept=KEPT_RECORDS, destroy_after_s=DESTROY_AFTER_S) as servers:
        servers.platform.plan(*platform_steps(options.seed))
        servers.store.plan(*store_steps(options.seed))
        (work / "functions.json").write_text(json.dumps(function_rates(options.seed)))
        seen, told, code = _soak(options, servers)
        sent = servers.platform.verbs["POST"]
        happened = Counter(each.label for each in (*servers.platform.happened, *servers.store.happened))
    left = [process.pid for process in psutil.Process().children(recursive=True)]
    seen.to_csv(options.out / "watched.csv", index=False)
    happened.update((work / "functions.happened").read_text().split())
    failed = _report(options, seen, told, code, sent, happened, left)
    if not failed:
        shutil.rmtree(work)
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides the faults (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "soak", help="folder of the log and the table")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "mnist", help="where MNIST is kept")
    options = parser.parse_args()
    options.out = options.out.absolute()
    if not options.minutes > 0:
        parser.error(f"--minutes={options.minutes}: must be more than 0")
    return options


def _soak(options: argparse.Namespace, servers: Servers) -> tuple[pd.DataFrame, list[dict[str, object]], int]:
    """Run the keeper beside the watch; return what was seen, what the keeper told, and how it ended."""
    start = time.time()
    endpoints = [f"http://{servers.platform.endpoint}", servers.store.endpoint]
    command = [sys.executable, "-m", "tests.faults.endless", str(options.out / "work"), *endpoints, str(options.cache)]
    command.append(str(start + 60 * options.minutes))
    log = options.out / "keeper.log"
    with log.open("w") as said, (options.out / "keeper.err").open("w") as errors:
        env = {**os.environ, **servers.env}
        keeper = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=said, stderr=errors, env=env)
        rows: list[dict[str, object]] = []
        rests = 0
        try:
            while keeper.poll() is None:
                if resting := len(_told(log, "rests_after")) > rests:
                    _wait_until_idle(servers.emulator_pid)
                at_s = time.time() - start
                rows += look(_roles(keeper.pid, servers.emulator_pid), at_s, at_rest=resting)
                if resting:
                    rests += 1
                    print(f"{at_s / 60:5.1f} min, {len(_told(log, 'run'))} runs", flush=True)
                    _go_on(keeper)
                time.sleep(EVERY_S)
        finally:
            keeper.kill()
            keeper.wait()
    return pd.DataFrame(rows), _told(log, "run"), keeper.returncode


def _told(log: Path, of: str) -> list[dict[str, object]]:
    whole = log.read_text().rpartition("\n")[0].splitlines()  # not a line that is being written
    return [told for told in map(json.loads, whole) if of in told]


def _go_on(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin
    with suppress(BrokenPipeError):  # if the keeper is dead, its exit code tells
        keeper.stdin.write(b"\n")
        keeper.stdin.flush()


def _wait_until_idle(emulator: int) -> None:
    until = time.monotonic() + LONGEST_REST_S
    while psutil.Process(emulator).children() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.5)  # connections that end with them


def _roles(keeper: int, emulator: int) -> dict[str, list[psutil.Process]]:
    mine = psutil.Process()
    server = psutil.Process(emulator)
    store = [child for child in mine.children() if child.pid not in (keeper, emulator)]
    return {
        "keeper": [psutil.Process(keeper), *psutil.Process(keeper).children(recursive=True)],
        "emulator": [server],
        "containers": server.children(recursive=True),
        "store": store,
        "proxies": [mine],
    }


def _judged(seen: pd.DataFrame) -> tuple[list[Verdict], list[str]]:
    if seen.empty:
        return [], ["nothing was seen of it"]
    kept = seen[seen["at_rest"] & (seen["role"] == "containers") & (seen["processes"] > 0)]
    problems = [f"containers were left at {len(kept)} rests"] if len(kept) else []
    try:
        verdicts = judge(seen)
    except ValueError as error:
        return [], [*problems, str(error)]
    return verdicts, [*problems, *(f"{each.role}: {each.what} grows" for each in verdicts if each.leaks)]


def _report(
    options: argparse.Namespace,
    seen: pd.DataFrame,
    told: list[dict[str, object]],
    code: int,
    sent: int,
    happened: Counter[str],
    left: list[int],
) -> bool:
    kinds: Counter[str] = Counter(str(kind or "none") for run in told for kind in run["error_kinds"])
    rows = sum(count for kind, count in kinds.items() if kind not in NEVER_SENT)
    verdicts, problems = _judged(seen)
    problems += [f"the keeper ended with {code}: see {options.out}/keeper.err"] if code else []
    problems += [f"{sent} invocations were sent, {rows} are in the tables"] if sent != rows and not code else []
    problems += [f"processes are left: {left}"] if left else []
    text = "\n".join(
        [
            f"soak of {options.minutes:g} minutes, seed {options.seed}: {len(told)} runs, "
            f"{sum(int(str(run['rounds'])) for run in told)} rounds, {rows} invocations, {happened.total()} faults",
            "faults: " + ", ".join(f"{name} {count}" for name, count in happened.most_common()),
            "error_kind of attempts: " + ", ".join(f"{name} {count}" for name, count in kinds.most_common()),
            "",
            table(verdicts),
            "",
            *(f"FAILED  {problem}" for problem in problems),
            *([] if problems else ["nothing leaks, nothing is lost: every run has the weights of its counted updates"]),
        ]
    )
    (options.out / "report.txt").write_text(text + "\n")
    print(text)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
