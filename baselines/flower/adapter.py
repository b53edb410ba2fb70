"""Runs a job as a Flower federation: starts it, waits for what it leaves, and ends it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from baselines.flower.plan import ERROR, FINAL_WEIGHTS, SERVING, Plan
from baselines.flower.processes import processes
from baselines.flower.settings import FlowerSettings, check
from baselines.flower.startup import ENVIRONMENT, Federation, FlowerError
from metrics.recorder import Recorder
from metrics.tables import RoundRow, read_run
from task.job import FederatedJob
from task.weights import Weights, loads

LOG = "flower.log"
_POLL_S = 0.05
_TAIL_CHARACTERS = 4000


def run(job: FederatedJob, settings: FlowerSettings, recorder: Recorder) -> Weights:
    """Learn ``job`` as a Flower federation, and return the final weights.

    The rounds are recorded by the ServerApp, another process, in the folder of ``recorder``; ``recorder.rounds`` has
    them when this returns or raises.

    Raises
    ------
    ValueError
        If the settings do not fit the job; nothing has been started then.
    FlowerError
        If the federation could not be started, or the run failed; with the remote traceback, or the end of the log.
    """
    check(job, settings)
    directory = recorder.directory.absolute()
    for name in (SERVING, ERROR, FINAL_WEIGHTS, LOG):
        (directory / name).unlink(missing_ok=True)
    try:
        with processes(directory / LOG, ENVIRONMENT) as started:
            federation = Federation(started, settings)
            return _run(job, settings, recorder, federation, directory)
    finally:
        _take_rounds(recorder)
        (directory / SERVING).unlink(missing_ok=True)


def _run(
    job: FederatedJob, settings: FlowerSettings, recorder: Recorder, federation: Federation, directory: Path
) -> Weights:
    plan = directory / "flower_plan.json"
    Plan(
        job=job,
        data=settings.data,
        run_id=recorder.run_id,
        directory=directory,
        watcher=recorder.watcher,
        startup_timeout_s=settings.startup_timeout_s,
        round_timeout_s=settings.round_timeout_s,
    ).write(plan)
    with recorder.setup("start the SuperLink"):
        federation.start_superlink()
    if settings.runtime == "deployment":
        with recorder.setup("start the SuperNodes"):
            federation.start_supernodes(job.clients)
    with recorder.setup("submit the run and start the ServerApp"):
        flwr_run = federation.submit(job, plan)
        federation.wait(
            lambda: (directory / SERVING).exists() or flwr_run.poll() is not None, "the ServerApp has not started"
        )
    return _await_outcome(job, settings, federation, flwr_run, directory)


def _await_outcome(
    job: FederatedJob,
    settings: FlowerSettings,
    federation: Federation,
    flwr_run: subprocess.Popen[bytes],
    directory: Path,
) -> Weights:
    """Wait for the final weights, an error, or the end of ``flwr run`` without either."""
    limit_s = settings.startup_timeout_s + job.rounds * settings.round_timeout_s
    deadline = time.monotonic() + limit_s
    while True:
        ended = flwr_run.poll() is not None  # before looking: what it has left is complete then
        if (directory / FINAL_WEIGHTS).exists():
            return loads((directory / FINAL_WEIGHTS).read_bytes())
        if (directory / ERROR).exists():
            text = (directory / ERROR).read_text(encoding="utf-8")
            raise FlowerError(f"the ServerApp failed; {LOG} in {directory} has Flower's log:\n{text}")
        if ended:
            raise FlowerError(
                f"Flower ended the run without a result. The end of {directory / LOG}:\n{_tail(directory)}"
            )
        federation.check()
        if time.monotonic() > deadline:
            raise FlowerError(f"no result after {limit_s:g} s. The end of {directory / LOG}:\n{_tail(directory)}")
        time.sleep(_POLL_S)


def _tail(directory: Path) -> str:
    return (directory / LOG).read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARACTERS:]


def _take_rounds(recorder: Recorder) -> None:
    rows = read_run(recorder.directory, "rounds").to_pylist()
    recorder.rounds[:] = [RoundRow(**row) for row in rows]
