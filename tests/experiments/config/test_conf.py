"""The files in conf: each composes, says how it is used, and becomes jobs and settings."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from baselines.flower import FlowerSettings
from baselines.inprocess import InprocessSettings
from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from experiments.config.overrides import groups, options
from experiments.config.plan import plan_runs
from experiments.config.schema import CONFIGS
from metrics import published
from serverless.cluster import ClusterSettings
from serverless.keeper import ServerlessSettings
from task.data import DataSettings
from task.job import FederatedJob, PartitionSpec

EXPERIMENTS = options("exp")
SETTINGS = {
    "inprocess": InprocessSettings,
    "flower": FlowerSettings,
    "openwhisk": ServerlessSettings,
    "fabric": ServerlessSettings,
}


def compose(*words):
    (cell,) = compose_cells(list(words))
    return cell


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_begins_with_the_command_that_uses_it(name):
    header, command = (CONFIGS / "exp" / f"{name}.yaml").read_text().splitlines()[:2]
    assert header == "# @package _global_"  # Hydra reads it in the first line only
    assert command == f"# python -m experiments.run +exp={name}"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_composes_into_jobs_and_settings(name, tmp_path):
    for cell in compose_cells([f"+exp={name}"]):
        assert cell.config.experiment == name
        assert str(cell.top) == f"results/{name}"
        plans = plan_runs(cell.config, cell.out)
        assert len(plans) == len(cell.config.backends) * len(cell.config.seeds)
        for plan in plans:
            made = BACKENDS[plan.backend].settings(cell.config, tmp_path)
            assert isinstance(made, SETTINGS[plan.backend])
            BACKENDS[plan.backend].check(plan.job, cell.config)


def test_experiments_are_not_among_the_defaults_so_that_plus_exp_works():
    defaults = OmegaConf.load(CONFIGS / "config.yaml").defaults
    assert "exp" not in {key for entry in defaults if not isinstance(entry, str) for key in entry}


@pytest.mark.slow
@pytest.mark.parametrize("group", [group for group in groups() if group != "exp"])
def test_every_option_of_every_group_is_valid(group, monkeypatch):
    credentials_are_set(monkeypatch)
    for option in options(group):
        assert compose(f"{group}={option}", *needed_for(group, option)).config


def needed_for(group, option):
    """Return what an option cannot be chosen without."""
    few = ["clients=6", "clients_per_round=6"] if option == "smoke" else []
    return {
        "cluster": A_CLUSTER,
        "platform": [f"backends=[{option}]"],
        "strategy": ["optimizer=sgd"] if option == "scaffold" else [],
        "fabric": [] if option == "none" else ["backends=[fabric]", *few],
    }.get(group, [])


A_CLUSTER = ["platform.api_host=https://localhost:31001", "store=minio"]


def credentials_are_set(monkeypatch):
    monkeypatch.setenv("MINIO_ACCESS_KEY", "a")
    monkeypatch.setenv("MINIO_SECRET_KEY", "b")
    monkeypatch.setenv("OPENWHISK_AUTH", "uuid:key")
    monkeypatch.setenv("REGISTER_PASSWORD", "c")


def test_a_cluster_is_watched_only_where_it_is_asked_for(monkeypatch, tmp_path):
    credentials_are_set(monkeypatch)
    settings = BACKENDS["openwhisk"].settings
    assert settings(compose(*A_CLUSTER).config, tmp_path).cluster is None
    words = ["cluster=kubernetes", "cluster.context=kind-fl", "cluster.kubeconfig=here/config", "cluster.every_s=2"]
    watched = settings(compose(*A_CLUSTER, *words).config, tmp_path).cluster
    assert watched == ClusterSettings(
        context="kind-fl",
        kubeconfig=Path.cwd() / "here" / "config",
        namespace="openwhisk",
        store_namespace="minio",
        every_s=2.0,
        timeout_s=5.0,
    )


def test_watching_a_cluster_changes_no_runs_id(monkeypatch):
    credentials_are_set(monkeypatch)
    ids = [
        {plan.run_id for plan in plan_runs(compose(*A_CLUSTER, *words).config, CONFIGS)}
        for words in ([], ["cluster=kubernetes"])
    ]
    assert ids[0] == ids[1]


def test_the_papers_settings():
    job = plan_runs(compose("+exp=cnn_adam_100").config, CONFIGS)[0].job
    assert job == FederatedJob(
        model="cnn",
        optimizer="adam",
        learning_rate=1e-3,
        batch_size=10,
        local_epochs=5,
        clients=100,
        clients_per_round=100,
        rounds=55,
        target_accuracy=0.95,
        optimizer_state="reset",
        partition=PartitionSpec("shards", shards_per_client=2),
        seed=0,
    )


def test_the_papers_grid():
    cells = compose_cells(["+exp=fig3_nn"])
    jobs = [plan.job for cell in cells for plan in plan_runs(cell.config, cell.out)]
    assert len(set(jobs)) == len(jobs) == 5 * 2 * 3 * 2  # clients per round, epochs, optimizers, seeds
    assert {job.target_accuracy for job in jobs} == {0.97}
    assert {(job.optimizer, job.learning_rate) for job in jobs} == {("sgd", 0.1), ("adam", 1e-3), ("nadam", 1e-3)}


def test_the_grid_of_rgg_has_its_published_cells():
    cells = compose_cells(["+exp=rgg_grid"])
    found = {
        (
            plan.job.rounds,
            plan.job.clients_per_round,
            cell.config.round_policy.k,
            cell.config.platform.client.memory_mb,
        )
        for cell in cells
        for plan in plan_runs(cell.config, cell.out)
    }
    theirs = published.grid().query("system == 'openwhisk'")
    names = ["max_rounds", "clients_per_round", "first_k", "memory_mb"]
    assert found == set(theirs[names].itertuples(index=False, name=None))
    assert len(cells) == len(theirs)
    assert {(cell.config.model.name, cell.config.partition.scheme) for cell in cells} == {("mlp50", "iid")}


def test_quickstart_is_what_the_readme_promises():
    config = compose("+exp=quickstart").config
    assert (config.model.name, config.optimizer.name, config.seeds) == ("nn", "adam", [0])
    assert (config.clients_per_round, config.clients, config.rounds) == (10, 100, 3)
    assert config.backends == ["inprocess", "flower", "openwhisk"]


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.1), ("adam", 1e-3), ("nadam", 1e-3)])
def test_an_optimizer_has_its_own_rate(name, rate):
    (job,) = {plan.job for plan in plan_runs(compose(f"optimizer={name}").config, CONFIGS)}
    assert (job.optimizer, job.learning_rate) == (name, rate)


def test_an_override_goes_over_the_experiment_whatever_their_order():
    assert compose("rounds=7", "+exp=quickstart").config.rounds == 7


def test_settings_of_functions_are_those_configured(tmp_path):
    config = compose("workers=3", "platform.client.memory_mb=700", "platform.client.timeout_s=90").config
    made = BACKENDS["openwhisk"].settings(config, tmp_path)
    assert (made.client.memory_mb, made.client.timeout_s, made.in_flight) == (700, 90, 3)
    assert made.platform.pool_memory_mb == 3 * 700 + made.aggregator.memory_mb
    assert made.platform.api_host is None
    assert made.store.root == tmp_path / "store"


def test_a_real_platform_and_store_are_reached_as_configured(tmp_path, monkeypatch):
    for variable in ("OPENWHISK_AUTH", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        monkeypatch.setenv(variable, "secret")
    config = compose("platform.api_host=https://ow.example.org", "store=minio", "store.endpoint=s3:9000").config
    made = BACKENDS["openwhisk"].settings(config, tmp_path)
    placed = BACKENDS["openwhisk"].placement(config)
    assert (made.platform.api_host, made.platform.auth_env) == ("https://ow.example.org", "OPENWHISK_AUTH")
    assert (made.store.endpoint, made.store.secret_key_env) == ("s3:9000", "MINIO_SECRET_KEY")
    assert (placed.emulated, placed.runtime, placed.store) == (False, "cluster", "minio")
    assert "secret" not in str(plan_runs(config, tmp_path)[0].config).replace("secret_key_env", "")


@pytest.mark.parametrize(
    ("backend", "words", "workers"),
    [
        ("inprocess", (), 2),
        ("flower", (), 2),
        ("flower", ("flower=deployment", "clients=20", "clients_per_round=5"), 5),
        ("openwhisk", (), 2),
        ("openwhisk", ("platform.in_flight=7",), 7),
    ],
)
def test_the_runs_table_says_how_many_clients_train_at_once(backend, words, workers):
    config = compose("+exp=quickstart", "workers=2", *words).config
    assert BACKENDS[backend].placement(config).workers == workers


def test_paths_do_not_depend_on_where_a_backend_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = BACKENDS["inprocess"].settings(compose("data.cache=here").config, tmp_path)
    assert made.data == DataSettings(cache=tmp_path / "here", path=None)
