"""Whole federations: real SuperLinks, SuperNodes, Ray, TensorFlow and MNIST on loopback."""

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from baselines import flower, inprocess
from baselines.flower import FlowerError, FlowerSettings
from baselines.inprocess import InprocessSettings
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from task.data import DataSettings
from task.job import FederatedJob
from task.weights import sha256

pytestmark = [pytest.mark.server, pytest.mark.training]

DATA = DataSettings(Path(__file__).resolve().parents[2] / ".cache" / "mnist")
SOME_OF_TEN = FederatedJob(model="nn", clients=10, clients_per_round=4, rounds=2, local_epochs=1, seed=1)
STATEFUL = replace(SOME_OF_TEN, clients=3, clients_per_round=2, rounds=2, optimizer_state="keep", batch_size=20)


def descendants() -> set[psutil.Process]:
    return {child for child in psutil.Process().children(recursive=True) if "resource_tracker" not in cmdline(child)}


def cmdline(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, not even a dead one, and no folder: whatever a test has done to its federation."""
    before, folders, mkdtemp = descendants(), [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **where: folders.append(mkdtemp(**where)) or folders[-1])
    yield
    assert descendants() == before
    assert not [folder for folder in folders if Path(folder).exists()]


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[[str], Recorder]:
    def make(run_id: str) -> Recorder:
        (tmp_path / run_id).mkdir()
        return Recorder(run_id, tmp_path / run_id)

    return make


@pytest.mark.parametrize(
    ("job", "runtime"),
    [
        pytest.param(SOME_OF_TEN, "simulation", id="some-of-ten", marks=pytest.mark.exhaustive),
        pytest.param(STATEFUL, "simulation", id="stateful", marks=pytest.mark.exhaustive),
        pytest.param(STATEFUL, "deployment", id="stateful-deployed"),
    ],
)
def test_it_learns_what_the_bare_loop_learns(recorder, job, runtime):
    bare, federated = recorder("bare"), recorder("federated")
    expected = inprocess.run(job, InprocessSettings(2, DATA), bare)

    weights = flower.run(job, FlowerSettings(DATA, workers=2, runtime=runtime), federated)

    assert sha256(weights) == sha256(expected)
    learnt = [[(row.weights_sha256, row.test_accuracy, row.test_loss) for row in of.rounds] for of in (bare, federated)]
    assert learnt[0] == learnt[1]
    cold = [row.cold_starts for row in federated.rounds]
    if runtime == "simulation":
        assert 1 <= cold[0] <= 2 and cold[1:] == [0], "Ray's workers stay"
    else:
        assert cold == [job.clients_per_round] * job.rounds, "a process per message"
    rows = read_run(federated.directory, "invocations").to_pylist()
    assert all(row["train_s"] > 0 for row in rows if row["function"] == "client")


def test_a_failing_client_fails_the_run_with_its_traceback(recorder):
    failing = recorder("failing")

    with pytest.raises(FlowerError, match=r"(?s)clients failed in round 1.*in batch_order.*ZeroDivisionError"):
        flower.run(replace(SOME_OF_TEN, batch_size=0), FlowerSettings(DATA), failing)

    rows = read_run(failing.directory, "invocations").to_pylist()
    assert [(row["status"], row["error_kind"]) for row in rows] == [("failed", "ZeroDivisionError")] * 4


def test_a_failing_server_fails_the_run_with_its_traceback(recorder, tmp_path):
    nowhere = DataSettings(DATA.cache, path=tmp_path / "nowhere")

    failing = recorder("failing")

    with pytest.raises(
        FlowerError, match=r"(?s)^the ServerApp failed: [\w.]*DataError: \S*nowhere.*\nall of it: \S*flower_error.txt$"
    ):
        flower.run(SOME_OF_TEN, FlowerSettings(nowhere), failing)

    assert "in _serve" in (failing.directory / "flower_error.txt").read_text()


@pytest.mark.exhaustive
def test_a_process_that_starts_slowly_is_waited_for(recorder, monkeypatch, tmp_path):
    """Flower alone gives a task's process 30 s until it reports."""
    slow = "import sys, time\nif 'flwr-simulation' in ' '.join(sys.orig_argv): time.sleep(40)\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    waited = recorder("waited")
    flower.run(replace(SOME_OF_TEN, rounds=1), FlowerSettings(DATA), waited)

    assert len(waited.rounds) == 1


def test_a_killed_server_fails_the_run_and_does_not_hang_it(recorder):
    killed = recorder("killed")
    failures = []

    def run() -> None:
        with pytest.raises(FlowerError) as caught:
            flower.run(replace(SOME_OF_TEN, rounds=1000), FlowerSettings(DATA), killed)
        failures.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: has_rounds(killed.directory), thread.is_alive)
    for process in descendants():
        if "/flwr-simulation" in cmdline(process):
            process.kill()
    thread.join(timeout=60)

    assert not thread.is_alive()
    assert "the ServerApp ended without a result" in failures[0]
    assert killed.rounds, "the finished rounds are kept"


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive), signal.SIGKILL],
    ids=lambda number: number.name,
)
def test_nothing_outlives_the_process_that_called_it(tmp_path, number):
    script = f"""
import signal, sys
from pathlib import Path
from baselines.flower import FlowerSettings, run
from metrics.collect.recorder import Recorder
from task.data import DataSettings
from task.job import FederatedJob
signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
job = FederatedJob.from_dict({replace(SOME_OF_TEN, rounds=1000).to_dict()!r})
run(job, FlowerSettings(DataSettings(Path({str(DATA.cache)!r}))), Recorder("run", Path({str(tmp_path)!r})))
"""
    with (tmp_path / "stderr").open("w") as stderr:
        caller = subprocess.Popen([sys.executable, "-c", script], stderr=stderr)
    until(lambda: has_rounds(tmp_path), lambda: caller.poll() is None)
    started = psutil.Process(caller.pid).children(recursive=True)
    folders = {Path(process.cwd()) for process in started if "/flwr-simulation" in cmdline(process)}
    assert any("ray::" in cmdline(process) for process in started)

    caller.send_signal(number)
    caller.wait()

    until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in started))
    assert folders
    until(lambda: not any(folder.exists() for folder in folders))
    assert has_rounds(tmp_path)


def has_rounds(directory: Path) -> bool:
    return read_run(directory, "rounds").num_rows > 0


def until(condition: Callable[[], bool], goes_on: Callable[[], bool] = lambda: True) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert goes_on(), "it has ended"
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.05)
