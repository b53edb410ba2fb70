"""Clocks that step and clocks that differ change no duration.

The clocks are moved for Python: a module that each interpreter loads first adds to ``time.time`` what a file says.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from experiments.config.schema import CONFIGS
from metrics.analysis.checks.consistency import check
from metrics.collect.tables import load

pytestmark = pytest.mark.training

SHIM = """
import os, time
real = time.time
def moved():
    with open(os.environ["FL_TEST_CLOCK"]) as file:
        return real() + float(file.read())
if os.environ.get("FL_PROCESS_ROLE") == "emulator" and "FL_TEST_ELSEWHERE" in os.environ:
    os.environ.pop("FL_PROCESS_CLOCK", None)  # the platform, with its functions, is another machine
else:
    time.time = moved
"""


@pytest.fixture
def clock(tmp_path):
    """A file with the seconds by which the clock of a run is wrong."""
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim" / "sitecustomize.py").write_text(SHIM)
    file = tmp_path / "ahead"
    file.write_text("0")
    return file


def run(clock, mnist_settings, *words, step=None, **environment):
    """Run an experiment and return its tables; when the file ``step`` appears, the clock is set back by an hour."""
    out = clock.parent / "out"
    command = [
        sys.executable,
        "-m",
        "experiments.run",
        "+exp=smoke",
        f"out={out}",
        f"data.cache={mnist_settings.cache}",
    ]
    command += ["rounds=2", "clients=10", "model=mlp50", "figures=false", *words]
    path = os.pathsep.join((str(clock.parent / "shim"), str(CONFIGS.parent)))
    changed = {"PYTHONPATH": path, "FL_TEST_CLOCK": str(clock), **environment}
    with subprocess.Popen(
        command, env=os.environ | changed, cwd=clock.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        ended = threading.Event()

        def watch():
            while not ended.wait(0.02):
                if step is not None and any(out.rglob(step)):
                    clock.write_text("-3600")
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        said = process.communicate(timeout=240)[0].decode()
        ended.set()
        watcher.join()
    assert process.returncode == 0, said
    return load(Path(out))


def test_a_clock_that_is_set_back_between_two_runs_changes_no_duration(clock, mnist_settings):
    tables = run(clock, mnist_settings, "backends=[inprocess]", "seeds=[0,1]", step="runs.jsonl")
    assert clock.read_text() == "-3600"
    runs = tables["runs"].set_index("seed")
    assert (
        runs.loc[1, "started_at"] < runs.loc[0, "started_at"] + 60
    )  # the second one began after the step, or before it
    for part in ("setup_s", "teardown_s", "wall_s"):
        assert runs[part].between(0, 120).all(), part
    assert check(tables) == []


@pytest.mark.exhaustive
def test_a_clock_that_is_set_back_inside_a_run_changes_no_duration(clock, mnist_settings):
    step = "rounds.jsonl"
    tables = run(clock, mnist_settings, "backends=[openwhisk]", step=step)
    assert clock.read_text() == "-3600"
    assert tables["runs"]["wall_s"].between(0, 200).all()
    assert check(tables) == []


@pytest.mark.parametrize("ahead", ["2", pytest.param("-2", marks=pytest.mark.exhaustive)])
def test_a_controller_with_another_clock_than_its_functions_sees_their_cold_starts(clock, mnist_settings, ahead):
    clock.write_text(ahead)
    tables = run(clock, mnist_settings, "backends=[openwhisk]", FL_TEST_ELSEWHERE="1")
    assert check(tables) == []
    calls = tables["invocations"]
    cold = calls[calls["is_cold"].eq(True)]
    assert len(cold) > 0
    assert (cold["cold_start_s"] >= cold["init_s"] - 0.1).all()
    first, second = tables["rounds"].sort_values("server_round").to_dict("records")
    assert first["cold_start_s"] > 0.8 * cold.loc[cold["server_round"] == 1, "init_s"].min()
    assert second["poll_s"] < 1.0
