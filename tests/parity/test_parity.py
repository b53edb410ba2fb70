"""The rule the whole comparison rests on: from one seed every backend ends with the same weights, to the last bit."""

from dataclasses import replace

import pytest

from task.job import FederatedJob, PoisonSpec, StrategySpec
from tests.support.backends import learn

NN = FederatedJob(model="nn", clients=100, clients_per_round=3, rounds=2, local_epochs=1, seed=3)
JOBS = {
    "nn": NN,
    "cnn": replace(NN, model="cnn"),
    "mlp50 with kept states": replace(NN, model="mlp50", optimizer_state="keep", clients=4, optimizer="nadam"),
    "nn with kept states": replace(NN, optimizer_state="keep", clients=4, clients_per_round=3, batch_size=500),
}
OTHER_JOBS = [pytest.param(name, marks=pytest.mark.exhaustive) for name in JOBS if name != "nn"]


@pytest.mark.server
@pytest.mark.training
@pytest.mark.parametrize(
    "name", ["nn", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in JOBS if name != "nn")]
)
def test_backends_end_with_bit_identical_weights_and_equal_accuracies(name, mnist_settings, tmp_path):
    results = {
        backend: learn(backend, JOBS[name], mnist_settings, tmp_path / backend)
        for backend in ("inprocess", "flower", "openwhisk")
    }
    digest, rounds = results["inprocess"]
    assert len(rounds) == 2
    assert rounds[-1][3] == digest
    assert results["flower"] == results["openwhisk"] == (digest, rounds)


SMALL = replace(NN, model="mlp50", clients_per_round=5, rounds=1, poison=PoisonSpec(0.2, "sign_flip", 3.0))
STRATEGIES = [
    StrategySpec("median"),
    StrategySpec("trimmed_mean", beta=0.2),
    StrategySpec("krum", f=1, m=2),
]


@pytest.mark.server
@pytest.mark.training
@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(one, id=one.name, marks=[] if one.name == "krum" else [pytest.mark.exhaustive])
        for one in STRATEGIES
    ],
)
def test_strategies_and_simulated_poisoners_are_the_same_on_all_backends(strategy, mnist_settings, tmp_path):
    job = replace(SMALL, strategy=strategy)
    results = {
        backend: learn(backend, job, mnist_settings, tmp_path / backend)
        for backend in ("inprocess", "flower", "openwhisk")
    }
    assert results["flower"] == results["openwhisk"] == results["inprocess"]


@pytest.mark.server
@pytest.mark.training
@pytest.mark.exhaustive
@pytest.mark.parametrize("platform", ["openfaas", "google"])
def test_functions_learn_the_same_on_every_platform(platform, mnist_settings, tmp_path):
    expected = learn("inprocess", NN, mnist_settings, tmp_path / "inprocess")
    assert learn(platform, NN, mnist_settings, tmp_path / platform) == expected
