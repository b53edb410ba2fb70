import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.parquet import read_table

from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from experiments.config.plan import Turn, configuration_hash, plan_runs, run_id
from experiments.config.schema import CONFIGS, ExperimentConfig
from task.job import FederatedJob

BASE = ("+exp=quickstart", "workers=2")
FUNCTIONS = BACKENDS.keys() - {"inprocess", "flower"}

FUNCTIONS = set(BACKENDS) - {"inprocess", "flower"}


def config(*words):
    (cell,) = compose_cells([*BASE, *words])
    return cell.config


def test_a_block_holds_each_system_once_for_one_seed_in_an_order_of_its_own(tmp_path):
    backends = ["flower", "inprocess", "openwhisk"]
    words = ("seeds=[4,5,6,7,8]", f"backends=[{','.join(backends)}]", "repeats=2")
    plans = plan_runs(config(*words), tmp_path)
    blocks = [plans[start : start + 3] for start in range(0, len(plans), 3)]
    assert [block[0].job.seed for block in blocks] == [4, 5, 6, 7, 8] * 2
    for number, block in enumerate(blocks):
        assert sorted(plan.backend for plan in block) == backends
        assert [plan.turn for plan in block] == [Turn(number // 5, number, place) for place in range(3)]
        assert len({plan.job for plan in block}) == 1
    assert len({tuple(plan.backend for plan in block) for block in blocks}) > 2  # each order is one of six
    assert plan_runs(config(*words), tmp_path) == plans
    assert len({plan.run_id for plan in plans}) == 30
    assert all(plan.directory == tmp_path / "runs" / plan.run_id for plan in plans)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "word",
    [
        "out=elsewhere",
        "backends=[flower]",
        "seeds=[7]",
        "repeats=3",
        "experiment=other",
        "rerun=true",
        "figures=false",
        "data.cache=elsewhere",
        "pricing=aws_lambda_x86",
        "vm=t3_medium",
        "billing.policy=packed",
    ],
)
def test_what_does_not_change_the_run_does_not_change_its_id(backend, word):
    assert run_id(config(word), backend, 0) == run_id(config(), backend, 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "word",
    [
        "model=cnn",
        "optimizer=sgd",
        "optimizer.learning_rate=0.002",
        "batch_size=20",
        "local_epochs=1",
        "clients=50",
        "clients_per_round=11",
        "rounds=4",
        "target_accuracy=0.9",
        "optimizer_state=keep",
        "partition=iid",
        "partition.shards_per_client=3",
        "workers=1",
    ],
)
def test_what_changes_the_run_changes_its_id(backend, word):
    assert run_id(config(word), backend, 0) != run_id(config(), backend, 0)


@pytest.mark.parametrize(
    ("word", "affected"),
    [
        ("flower=deployment", {"flower"}),
        ("platform.client.memory_mb=2048", FUNCTIONS),
        ("platform.in_flight=1", FUNCTIONS),
        ("store.retries=9", FUNCTIONS),
    ],
)
def test_a_backends_settings_change_its_own_id_only(word, affected):
    changed = {name for name in BACKENDS if run_id(config(word), name, 0) != run_id(config(), name, 0)}
    assert changed == affected


def test_the_default_number_of_workers_is_that_of_this_machine_in_the_id():
    from machine.resources import usable_cores

    assert run_id(config("workers=null"), "flower", 0) == run_id(config(f"workers={usable_cores()}"), "flower", 0)


def test_an_id_tells_backend_and_seed():
    name = run_id(config(), "openwhisk", 12)
    assert name.startswith("openwhisk-s12-")
    assert name.endswith(configuration_hash(config(), "openwhisk"))


def test_the_hash_stays_what_it_is():
    """A change here makes every finished run of everybody look like another configuration."""
    assert configuration_hash(config(), "inprocess") == "ffaa3588"
    assert configuration_hash(config("selection=fixed"), "inprocess") != "ffaa3588"


jobs = st.builds(
    FederatedJob,
    seed=st.integers(0, 2**31),
    learning_rate=st.floats(1e-6, 10),
    target_accuracy=st.none() | st.floats(0, 1),
)


@given(jobs)
def test_a_job_survives_run_json(job):
    assert FederatedJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job


@pytest.mark.parametrize("words", [(), ("target_accuracy=0.9", "store.retries=1"), ("partition=dirichlet",)])
def test_a_configuration_survives_run_json(words):
    made = config(*words)
    assert ExperimentConfig.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_a_plan_cannot_be_changed(tmp_path):
    plan = plan_runs(config(), tmp_path)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.run_id = "other"


def test_runs_that_are_kept_have_the_ids_that_they_had_before_strategies_had_more_parameters():
    kept = read_table(CONFIGS.parent / "results" / "evidence" / "poisoned" / "runs.parquet", columns=["run_id"])
    cells = compose_cells(["+exp=poisoned_nn", "workers=2"])
    assert {plan.run_id for cell in cells for plan in plan_runs(cell.config, cell.out)} == set(
        kept["run_id"].to_pylist()
    )
