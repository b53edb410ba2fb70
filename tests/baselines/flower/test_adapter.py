"""What is told when a federation does not come up: a command of Flower is replaced by another one."""

import json
import sys
from pathlib import Path

import pytest

from baselines import flower
from baselines.flower import FlowerError, FlowerSettings, federation
from metrics.collect.recorder import Recorder
from task.data import DataSettings
from task.job import FederatedJob

JOB = FederatedJob(clients=2, clients_per_round=1)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Put a Python script in the place of Flower's commands."""

    def replace(code: str) -> None:
        script = tmp_path / "command"
        script.write_text(f"#!{sys.executable}\n{code}\n")
        script.chmod(0o700)
        monkeypatch.setattr(federation, "_script", lambda _name: str(script))

    return replace


def run(directory: Path, **settings) -> None:
    flower.run(JOB, FlowerSettings(DataSettings(directory), **settings), Recorder("run-1", directory))


@pytest.mark.server
def test_a_superlink_that_ends_is_told_with_the_end_of_its_log(command, tmp_path):
    command("import sys; sys.exit('this port is taken')")

    with pytest.raises(FlowerError, match=r"the SuperLink ended with exit status 1: this port is taken\n.*flower.log$"):
        run(tmp_path)


@pytest.mark.server
def test_a_superlink_that_never_serves_is_given_up(command, tmp_path):
    command("import time; time.sleep(600)")

    with pytest.raises(FlowerError, match=r"the SuperLink does not serve after flower.startup_timeout_s=0.5"):
        run(tmp_path, startup_timeout_s=0.5)


@pytest.mark.server
def test_a_server_app_that_never_starts_is_told(command, tmp_path, monkeypatch):
    command("print('no such app')")
    monkeypatch.setattr(federation.Federation, "start_superlink", lambda self: None)

    with pytest.raises(FlowerError, match=r"(?s)the ServerApp ended without a result.*no such app"):
        run(tmp_path)


def test_what_cannot_run_is_refused_before_anything_is_started(command, tmp_path):
    command("open('started', 'w')")

    with pytest.raises(ValueError, match=r"flower.workers=0"):
        run(tmp_path, workers=0)

    assert list(tmp_path.iterdir()) == [tmp_path / "command"]


@pytest.mark.server
def test_a_result_of_an_earlier_run_in_the_folder_is_not_taken_for_this_one(command, tmp_path):
    command("import sys; sys.exit(1)")
    for name in ("final.safetensors", "flower_serving", "flower_error.txt"):
        (tmp_path / name).write_text("of an earlier run")

    with pytest.raises(FlowerError, match="the SuperLink ended"):
        run(tmp_path)

    assert not (tmp_path / "final.safetensors").exists()


@pytest.mark.server
@pytest.mark.parametrize("runtime", ["simulation", "deployment"])
def test_flower_is_told_how_many_nodes_and_workers_there_are(command, tmp_path, monkeypatch, runtime):
    calls = tmp_path / "calls"
    command(
        f"import json, sys, time\n"
        f"with open({str(calls)!r}, 'a') as file: print(json.dumps(sys.argv[1:]), file=file)\n"
        f"time.sleep(0 if sys.argv[1] == 'run' else 600)"
    )
    monkeypatch.setattr(federation.Federation, "_serves", lambda self: calls.exists())

    with pytest.raises(FlowerError):
        run(tmp_path, runtime=runtime, workers=3)

    given = [json.loads(line) for line in calls.read_text().splitlines()]
    superlink = given[0]
    (flwr_run,) = [words for words in given if words[0] == "run"]
    if runtime == "simulation":
        assert "--simulation" in superlink
        assert flwr_run[-1].split() == [
            "num-supernodes=2",
            "client-resources-num-cpus=1",
            "client-resources-num-gpus=0.0",
            "init-args-num-cpus=3",
        ]
    else:
        assert "--simulation" not in superlink
        assert "--federation-config" not in flwr_run


def test_every_switch_that_keeps_flower_to_itself_is_off():
    assert federation.ENVIRONMENT["FLWR_TELEMETRY_ENABLED"] == "0"
    assert federation.ENVIRONMENT["RAY_USAGE_STATS_ENABLED"] == "0"
    assert federation.ENVIRONMENT["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert federation.ENVIRONMENT["OMP_NUM_THREADS"] == "1"
