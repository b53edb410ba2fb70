import tomllib
from pathlib import Path

import pytest
from flwr.app import Context, RecordDict
from flwr.cli.config_utils import load_and_validate
from flwr.common.config import flatten_dict

from baselines.flower import client_app, server_app
from baselines.flower.federation import APP
from baselines.flower.plan import Plan, plan_of
from baselines.flower.settings import FlowerSettings
from metrics.collect.recorder import Recorder
from task.data import DataSettings
from task.job import FederatedJob, PartitionSpec

JOB = FederatedJob(
    model="cnn", clients=7, clients_per_round=3, target_accuracy=0.9, partition=PartitionSpec("dirichlet", alpha=0.3)
)


def context(run_config: dict, run_id: int = 42) -> Context:
    return Context(run_id=run_id, node_id=0, node_config={}, state=RecordDict(), run_config=run_config)


def config_of_the_app() -> dict:
    values = tomllib.loads((APP / "pyproject.toml").read_text())
    return flatten_dict(values["tool"]["flwr"]["app"]["config"])


@pytest.mark.parametrize("path", [None, Path("mine/mnist.npz")])
def test_the_app_reads_the_plan_that_the_adapter_wrote(tmp_path, path):
    settings = FlowerSettings(DataSettings(Path("cache"), path), startup_timeout_s=12.5)
    plan = Plan.of(JOB, settings, Recorder("run-1", tmp_path, watcher="watch.sock"))
    plan.write(tmp_path / "plan.json")

    read = plan_of(context({**config_of_the_app(), "plan": str(tmp_path / "plan.json")}))

    assert read == plan
    assert read.job == JOB


def test_the_paths_of_a_plan_do_not_depend_on_where_a_process_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = FlowerSettings(DataSettings(Path("cache"), Path("mine")))

    plan = Plan.of(JOB, settings, Recorder("run-1", Path("out"), watcher="watch.sock"))

    assert plan.directory == tmp_path / "out"
    assert plan.data == DataSettings(tmp_path / "cache", tmp_path / "mine")
    assert plan.watcher == str(tmp_path / "watch.sock")


def test_by_hand_the_run_configuration_is_the_plan(tmp_path):
    values = {**config_of_the_app(), "model": "cnn", "optimizer": "nadam", "rounds": 9, "target-accuracy": 0.8}

    plan = plan_of(context({**values, "out": str(tmp_path), "alpha": 0.25, "partition": "dirichlet"}))

    assert plan.job == FederatedJob(
        model="cnn",
        optimizer="nadam",
        clients=10,
        clients_per_round=4,
        rounds=9,
        target_accuracy=0.8,
        partition=PartitionSpec("dirichlet", 2, 0.25),
    )
    assert plan.directory == tmp_path / "42"
    assert "~" not in str(plan.data.cache)


def test_by_hand_no_target_runs_all_rounds():
    assert plan_of(context(config_of_the_app())).job.target_accuracy is None


def test_flower_takes_the_app_without_a_complaint():
    config, warnings = load_and_validate(APP / "pyproject.toml")

    assert [warning for warning in warnings if "license" not in warning] == []
    components = config["tool"]["flwr"]["app"]["components"]
    assert components["serverapp"] == f"{server_app.__name__}:app"
    assert components["clientapp"] == f"{client_app.__name__}:app"
