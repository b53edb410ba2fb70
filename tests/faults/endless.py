"""A keeper that makes one small run after the other until the time is up; started by :mod:`tests.faults.soak`.

Usage: ``python -m tests.faults.endless FOLDER API_HOST STORE_ENDPOINT MNIST_CACHE UNTIL`` with the credentials in the
environment; UNTIL in seconds since the epoch. Every run is held to the laws; a line of JSON says so. Every now and then
it rests, says so, and waits for a line on standard input.
"""

from __future__ import annotations

import gc
import itertools
import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.rounds.round_policies import Deadline, FirstK, RoundPolicy, WaitAll
from serverless.storage import MinioSettings
from task.data import DataSettings
from task.weights import sha256
from tests.faults.laws import assert_learnt_from_its_participants, assert_the_tables_agree
from tests.faults.world import JOB, Day, behind, few_images, keep_warm

POLICIES: tuple[RoundPolicy, ...] = (WaitAll(), FirstK(2), Deadline(deadline_s=1.0, min_updates=2))
SOAKED = replace(JOB, rounds=5)
RESTS = 12  # while it soaks


def main(folder: Path, api_host: str, endpoint: str, cache: Path, until: float) -> int:
    """Make runs; return how many there were."""
    mnist = few_images(DataSettings(cache))
    rest_every_s = (until - time.time()) / RESTS
    rested = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "load_images", lambda *_: mnist)
        keep_warm(patch, folder / "functions.json")
        for number, policy in enumerate(itertools.cycle(POLICIES), start=1):
            if time.time() > until:
                return number - 1
            job = replace(SOAKED, seed=number)
            directory = folder / f"run-{number}"
            directory.mkdir()
            settings = behind(api_host, MinioSettings(endpoint=endpoint), policy)
            weights = keeper.run(job, settings, Recorder(directory.name, directory))
            day = Day.read(directory, sha256(weights))
            assert_the_tables_agree(day, policy, job)
            assert_learnt_from_its_participants(day, mnist, job)
            rows = [row["error_kind"] for row in read_run(directory, "invocations").to_pylist()]
            told = {"run": number, "policy": str(policy), "rounds": len(day.rounds), "error_kinds": rows}
            print(json.dumps(told), flush=True)
            shutil.rmtree(directory)
            if time.time() - rested > rest_every_s:
                gc.collect()  # connections of runs that are over: garbage is no leak
                print(json.dumps({"rests_after": number}), flush=True)
                sys.stdin.readline()
                rested = time.time()
    return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), float(sys.argv[5]))
