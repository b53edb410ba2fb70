from pathlib import Path

import pytest

from baselines.flower.settings import MAX_DEPLOYMENT_CLIENTS, FlowerSettings, check
from task.data import DataSettings
from task.job import FederatedJob

DATA = DataSettings(Path("cache"))


def test_a_deployment_that_does_not_fit_is_refused_with_what_is_allowed():
    settings = FlowerSettings(DATA, runtime="deployment")

    check(FederatedJob(clients=MAX_DEPLOYMENT_CLIENTS, clients_per_round=2), settings)
    with pytest.raises(ValueError, match=r"clients=21 .*flower.runtime=deployment.*clients<=20.*simulation"):
        check(FederatedJob(clients=MAX_DEPLOYMENT_CLIENTS + 1, clients_per_round=2), settings)


def test_a_simulation_has_no_such_limit():
    check(FederatedJob(clients=1000), FlowerSettings(DATA, runtime="simulation"))


def test_an_unknown_runtime_is_refused_by_name():
    with pytest.raises(ValueError, match=r"flower.runtime=cloud.*simulation, deployment"):
        check(FederatedJob(), FlowerSettings(DATA, runtime="cloud"))  # type: ignore[arg-type]


def test_somebody_must_train():
    with pytest.raises(ValueError, match=r"flower.workers=0"):
        check(FederatedJob(), FlowerSettings(DATA, workers=0))


def test_concurrency_is_what_the_runtime_really_does():
    job = FederatedJob(clients=10, clients_per_round=7)

    assert FlowerSettings(DATA, workers=3).concurrency(job) == 3
    assert FlowerSettings(DATA, workers=3, runtime="deployment").concurrency(job) == 7
