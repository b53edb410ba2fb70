"""Strategies that change local steps, or keep a state from round to round, are the same learning on every backend."""

from dataclasses import replace

import pytest

from baselines import flower, inprocess
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.storage import DirectorySettings
from task.job import FederatedJob, StrategySpec
from task.weights import sha256

pytestmark = [pytest.mark.server, pytest.mark.training]

MB = 256
# Two of three clients a round: one that keeps a control variate is left out, and comes back with it.
JOB = FederatedJob(
    model="mlp50", optimizer="sgd", batch_size=500, local_epochs=1, clients=3, clients_per_round=2, rounds=3, seed=3
)
STRATEGIES = {
    "fedprox": StrategySpec("fedprox", mu=0.5),
    "fedavgm": StrategySpec("fedavgm", eta=0.9, momentum=0.7),
    "fedadam": StrategySpec("fedadam", eta=0.1, beta_1=0.9, beta_2=0.99, tau=0.001),
    "fedyogi": StrategySpec("fedyogi", eta=0.1, beta_1=0.9, beta_2=0.99, tau=0.001),
    "scaffold": StrategySpec("scaffold", eta=0.8),
}
PLATFORMS = {
    "openwhisk": OpenWhiskSettings(),
    "fedkeeper": OpenWhiskSettings(pool_memory_mb=3 * MB + 3 * 128),
    "openfaas": OpenFaasSettings(),
    "google": GoogleSettings(),
}


def learn(backend, job, data, directory):
    """Run a backend; return the hash of its weights, and what its rounds say."""
    directory.mkdir()
    recorder = Recorder(run_id=backend, directory=directory)
    if backend == "inprocess":
        weights = inprocess.run(job, inprocess.InprocessSettings(workers=2, data=data), recorder)
    elif backend == "flower":
        weights = flower.run(job, flower.FlowerSettings(data=data, workers=2), recorder)
    else:
        settings = keeper.ServerlessSettings(
            platform=PLATFORMS[backend],
            store=DirectorySettings(directory / "store"),
            data=data,
            client=FunctionSpec("client", memory_mb=MB, timeout_s=120),
            aggregator=FunctionSpec("aggregator", memory_mb=MB, timeout_s=120),
            invoker=FunctionSpec("invoker", memory_mb=128, timeout_s=120) if backend == "fedkeeper" else None,
        )
        weights = keeper.run(job, settings, recorder)
    rounds = read_run(directory, "rounds").to_pylist()
    columns = ("server_round", "test_accuracy", "test_loss", "weights_sha256", "updates", "num_examples")
    return sha256(weights), [tuple(row[name] for name in columns) for row in rounds]


def cheap(name):
    return pytest.param(name, marks=[] if name == "scaffold" else [pytest.mark.exhaustive])


@pytest.mark.parametrize("name", [cheap(name) for name in STRATEGIES])
def test_a_strategy_learns_the_same_on_all_backends(name, mnist_settings, tmp_path):
    job = replace(JOB, strategy=STRATEGIES[name])
    digest, rounds = learn("inprocess", job, mnist_settings, tmp_path / "inprocess")
    assert len({weights for *_, weights, _, _ in rounds}) == 3
    for backend in ("flower", "openwhisk"):
        assert learn(backend, job, mnist_settings, tmp_path / backend) == (digest, rounds), backend


@pytest.mark.exhaustive
@pytest.mark.parametrize("platform", ["openfaas", "google", "fedkeeper"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_learns_the_same_on_every_platform(name, platform, mnist_settings, tmp_path):
    job = replace(JOB, strategy=STRATEGIES[name])
    expected = learn("inprocess", job, mnist_settings, tmp_path / "inprocess")
    assert learn(platform, job, mnist_settings, tmp_path / platform) == expected
