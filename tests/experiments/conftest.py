"""A run's folder ready to be started, and a watch on processes that should be gone."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from experiments.compose import compose_cells
from experiments.plan import RunPlan, plan_runs
from experiments.records import Identity, RunFile
from metrics.clocks import now
from metrics.provenance import collect_provenance

FAKE_CHILD = Path(__file__).with_name("fake_child.py")


@pytest.fixture
def smoke_plan(tmp_path: Path) -> RunPlan:
    """The one run of the smallest experiment, in a folder that is not made yet."""
    (cell,) = compose_cells(["+exp=smoke", f"out={tmp_path / 'out'}"])
    (plan,) = plan_runs(cell.config, cell.out)
    return plan


@pytest.fixture
def ready_run(smoke_plan: RunPlan) -> Callable[[str], RunPlan]:
    """Return the plan of a run whose folder holds ``run.json``, to be started under a watcher."""

    def make(watcher: str) -> RunPlan:
        smoke_plan.directory.mkdir(parents=True)
        identity = Identity("d" * 64, "e" * 64, "f" * 64)
        provenance = collect_provenance(smoke_plan.directory)
        run = RunFile.of(smoke_plan, identity, provenance, started_at=now(), watcher=watcher)
        run.write(smoke_plan.directory)
        return smoke_plan

    return make


@pytest.fixture
def fake_command(monkeypatch: pytest.MonkeyPatch, row_makers: dict[str, Any]) -> Callable[[str], tuple[str, ...]]:
    """Return the command of a run's process whose backend behaves as told."""

    def make(behaviour: str) -> tuple[str, ...]:
        monkeypatch.setenv("FAKE_BACKEND", behaviour)
        monkeypatch.setenv("FAKE_ROUND", json.dumps(asdict(row_makers["rounds"]())))
        return sys.executable, str(FAKE_CHILD)

    return make


@pytest.fixture
def nothing_survives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Mark every process that the test starts, and assert at the end, or when called, that none is left."""
    mark = f"FL_TEST_MARK_{os.getpid()}_{time.monotonic_ns()}"
    monkeypatch.setenv(mark, "1")

    def check() -> None:
        end = time.monotonic() + 20
        while (left := marked(mark)) and time.monotonic() < end:
            time.sleep(0.05)
        said = [f"{process.pid} {' '.join(process.cmdline())}" for process in left]
        for process in left:
            process.kill()
        assert said == []

    yield check
    check()


def marked(mark: str) -> list[psutil.Process]:
    """Return the living processes, but this one, that carry a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
            if alive and mark in process.environ():
                found.append(process)
        except psutil.Error:
            continue
    return found
