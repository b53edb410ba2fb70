"""A run's folder ready to be started, and a watch on processes that should be gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from experiments.config.compose import compose_cells
from experiments.config.plan import RunPlan, plan_runs
from experiments.config.schema import CONFIGS
from experiments.runs.run_files import Identity, RunFile
from metrics.collect.provenance import collect_provenance
from metrics.collect.tables import load
from task.data import DataSettings
from tests.support.tiers import starts

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
        run = RunFile.of(smoke_plan, identity, provenance, watcher)
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


QUICK = {"model": "mlp50", "figures": "false"}


def begin(folder: Path, data_cache: Path, *words: str, log: str = "said") -> subprocess.Popen[bytes]:
    """Start `python -m experiments.run +exp=smoke` in a folder; by default in NumPy, and without figures."""
    chosen = {word.partition("=")[0] for word in words}
    words = (*(f"{key}={value}" for key, value in QUICK.items() if key not in chosen), *words)
    command = [sys.executable, "-m", "experiments.run", "+exp=smoke", f"data.cache={data_cache}", *words]
    environment = os.environ | {"PYTHONPATH": str(CONFIGS.parent)}
    with (folder / log).open("w") as said:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)


@pytest.fixture
@starts("training")
def start(tmp_path: Path, mnist_settings: DataSettings) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start :func:`begin` in the test's own folder, outside the repository."""
    started = []

    def begin_here(*words: str, log: str = "said") -> subprocess.Popen[bytes]:
        started.append(begin(tmp_path, mnist_settings.cache, *words, log=log))
        return started[-1]

    yield begin_here
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the same to its end; return its exit code and what it said."""

    def finish(*words: str) -> tuple[int, str]:
        process = start(*words)
        process.wait(timeout=300)
        return process.returncode, (tmp_path / "said").read_text()

    return finish


@pytest.fixture(scope="module")
@starts("training")
def unbroken(
    tmp_path_factory: pytest.TempPathFactory, mnist_settings: DataSettings
) -> Callable[..., dict[str, pd.DataFrame]]:
    """Return the tables of a run that nobody disturbed; tests that ask for the same run share it."""

    @cache
    def tables(*words: str) -> dict[str, pd.DataFrame]:
        folder = tmp_path_factory.mktemp("unbroken")
        code = begin(folder, mnist_settings.cache, *words, "out=unbroken").wait(timeout=300)
        assert code == 0, (folder / "said").read_text()
        return load(folder / "unbroken")

    return tables


@pytest.fixture
def lines_of() -> Callable[[Path], list[dict[str, Any]]]:
    """Read the whole lines of a file of rows."""

    def read(path: Path) -> list[dict[str, Any]]:
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    return read


@pytest.fixture
def wait_for_rounds(lines_of: Callable[[Path], list[dict[str, Any]]]) -> Callable[..., Path]:
    """Wait until a run of a folder has so many rounds; return the run's own folder."""

    def wait(out: Path, count: int, process: subprocess.Popen[bytes]) -> Path:
        end = time.monotonic() + 180
        while time.monotonic() < end and process.poll() is None:
            for path in (out / "runs").glob("*/rounds.jsonl"):
                if len(lines_of(path)) >= count:
                    return path.parent
            time.sleep(0.02)
        raise AssertionError("the rounds did not come")

    return wait


@pytest.fixture
def child_of() -> Callable[[subprocess.Popen[bytes]], psutil.Process]:
    """Return the process of the run that a command is making."""

    def find(process: subprocess.Popen[bytes]) -> psutil.Process:
        children = psutil.Process(process.pid).children()
        (child,) = [child for child in children if "experiments.runs.child" in " ".join(child.cmdline())]
        return child

    return find
