"""Runs a job as a Flower federation: starts it, waits for its final weights or its error, and ends it."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from baselines.flower.failures import LOG, FlowerError, reason
from baselines.flower.federation import ENVIRONMENT, Federation
from baselines.flower.plan import ERROR, FINAL_WEIGHTS, SERVING, Plan
from baselines.flower.processes import processes
from baselines.flower.settings import FlowerSettings, check
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from metrics.collect.row_types import RoundRow
from task.job import FederatedJob
from task.weights import Weights, loads

_POLL_S = 0.05


def run(job: FederatedJob, settings: FlowerSettings, recorder: Recorder) -> Weights:
    """Learn ``job`` as a Flower federation, and return the final weights.

    The rounds are recorded by the ServerApp, another process, in the folder of ``recorder``; ``recorder.rounds`` has
    them when this returns or raises.

    Raises
    ------
    ValueError
        If the settings do not fit the job; nothing has been started then.
    FlowerError
        If the federation could not be started, or the run failed; with the cause, and where the whole log is.
    """
    check(job, settings)
    directory = recorder.directory.absolute()
    for name in (SERVING, ERROR, FINAL_WEIGHTS, LOG):
        (directory / name).unlink(missing_ok=True)
    plan = Plan.of(job, settings, recorder)
    try:
        with processes(directory / LOG, ENVIRONMENT) as started:
            return _run(plan, settings, recorder, Federation(started, settings))
    except FlowerError as error:
        raise FlowerError(f"{error}: {reason(directory, settings.startup_timeout_s)}") from None
    finally:
        _take_rounds(recorder)
        (directory / SERVING).unlink(missing_ok=True)


def _run(plan: Plan, settings: FlowerSettings, recorder: Recorder, federation: Federation) -> Weights:
    path, serving = plan.directory / "flower_plan.json", plan.directory / SERVING
    plan.write(path)
    with recorder.setup("start the SuperLink"):
        federation.start_superlink()
    if settings.runtime == "deployment":
        with recorder.setup("start the SuperNodes"):
            federation.start_supernodes(plan.job.clients)
    with recorder.setup("submit the run and start the ServerApp"):
        flwr_run = federation.submit(plan.job, path)
        federation.wait(
            lambda: bool(serving.exists() or _outcome(plan.directory) or flwr_run.poll() is not None),
            "the ServerApp has not started",
        )
    return _await_outcome(plan, settings, federation, _server(serving))


def _await_outcome(plan: Plan, settings: FlowerSettings, federation: Federation, server: int | None) -> Weights:
    """Wait for the final weights, an error, or the end of the ServerApp without either."""
    limit_s = settings.startup_timeout_s + plan.job.rounds * settings.round_timeout_s
    deadline = time.monotonic() + limit_s
    while True:
        lives = server is not None and _lives(server)  # asked before the files are looked for: they are complete then
        outcome = _outcome(plan.directory)
        if outcome and outcome.name == FINAL_WEIGHTS:
            return loads(outcome.read_bytes())
        if outcome:
            raise FlowerError("the ServerApp failed")
        if not lives:
            raise FlowerError("the ServerApp ended without a result")
        federation.check()
        if time.monotonic() > deadline:
            raise FlowerError(f"no result after {limit_s:g} s")
        time.sleep(_POLL_S)


def _outcome(directory: Path) -> Path | None:
    """Return the file that the ServerApp has written at its end, if it has ended."""
    return next((path for name in (FINAL_WEIGHTS, ERROR) if (path := directory / name).exists()), None)


def _server(serving: Path) -> int | None:
    """Return the process id of the ServerApp, or ``None`` if it has ended already."""
    try:
        return int(serving.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _take_rounds(recorder: Recorder) -> None:
    rows = read_run(recorder.directory, "rounds").to_pylist()
    recorder.rounds[:] = [RoundRow(**row) for row in rows]
