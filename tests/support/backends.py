"""One job on any backend, and what it learnt there, for the tests that compare backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baselines import flower, inprocess
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.storage import DirectorySettings
from task.data import DataSettings
from task.job import FederatedJob
from task.weights import sha256

_INVOKER = FunctionSpec("invoker", memory_mb=128, timeout_s=120)


def learn(
    backend: str, job: FederatedJob, data: DataSettings, directory: Path, memory_mb: int = 1024
) -> tuple[str, list[tuple[Any, ...]]]:
    """Run a backend, ``fedkeeper`` being OpenWhisk with invokers; return the hash of its weights and its rounds."""
    directory.mkdir()
    recorder = Recorder(run_id=backend, directory=directory)
    if backend == "inprocess":
        weights = inprocess.run(job, inprocess.InprocessSettings(workers=2, data=data), recorder)
    elif backend == "flower":
        weights = flower.run(job, flower.FlowerSettings(data=data, workers=2), recorder)
    else:
        platforms = {
            "openwhisk": OpenWhiskSettings(),
            "fedkeeper": OpenWhiskSettings(pool_memory_mb=3 * memory_mb + 3 * _INVOKER.memory_mb),
            "openfaas": OpenFaasSettings(),
            "google": GoogleSettings(),
        }
        settings = keeper.ServerlessSettings(
            platform=platforms[backend],
            store=DirectorySettings(directory / "store"),
            data=data,
            client=FunctionSpec("client", memory_mb=memory_mb, timeout_s=300),
            aggregator=FunctionSpec("aggregator", memory_mb=memory_mb, timeout_s=300),
            invoker=_INVOKER if backend == "fedkeeper" else None,
        )
        weights = keeper.run(job, settings, recorder)
    rounds = read_run(directory, "rounds").to_pylist()
    columns = ("server_round", "test_accuracy", "test_loss", "weights_sha256", "updates", "num_examples")
    return sha256(weights), [tuple(row[name] for name in columns) for row in rounds]
