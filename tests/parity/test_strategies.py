"""Strategies that change local steps, or keep a state from round to round, are the same learning on every backend."""

from dataclasses import replace
from functools import partial

import pytest

from task.job import FederatedJob, StrategySpec
from tests.support import backends

pytestmark = [pytest.mark.server, pytest.mark.training]

learn = partial(backends.learn, memory_mb=256)
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
