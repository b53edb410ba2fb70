"""FedKeeper's topology learns what the direct one and the bare loop learn, and each of its functions has its row."""

from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from baselines import inprocess
from metrics.analysis.checks.rules import RULES
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.storage import DirectorySettings
from task.job import FederatedJob
from task.weights import sha256
from tests.support.tiers import starts

TRAINING = {"model": "mlp50", "local_epochs": 1, "batch_size": 500, "optimizer_state": "keep"}
JOB = FederatedJob(**TRAINING, clients=4, clients_per_round=3, rounds=2, seed=3)
MB = 512


class Learnt(NamedTuple):
    bare: str
    fedkeeper: str
    directory: Path
    key: str


@pytest.fixture(scope="module")
@starts("server", "training")
def learnt(mnist_settings, tmp_path_factory):
    alone, functions = tmp_path_factory.mktemp("inprocess"), tmp_path_factory.mktemp("fedkeeper")
    bare = inprocess.run(JOB, inprocess.InprocessSettings(workers=2, data=mnist_settings), Recorder("bare", alone))
    settings = keeper.ServerlessSettings(
        platform=OpenWhiskSettings(pool_memory_mb=3 * MB + 4 * 128),
        store=DirectorySettings(functions / "store"),
        data=mnist_settings,
        client=FunctionSpec("client", memory_mb=MB, timeout_s=120),
        aggregator=FunctionSpec("aggregator", memory_mb=MB, timeout_s=120),
        invoker=FunctionSpec("invoker", memory_mb=128, timeout_s=120),
    )
    keys, opens = [], keeper.open_platform

    @contextmanager
    def listening(*arguments):
        with opens(*arguments) as platform:
            keys.append(platform.client.auth)
            yield platform

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "open_platform", listening)
        weights = keeper.run(JOB, settings, Recorder("fedkeeper", functions))
    return Learnt(sha256(bare), sha256(weights), functions, *keys)


def test_the_weights_are_those_of_the_bare_loop_to_the_last_bit(learnt):
    assert learnt.fedkeeper == learnt.bare


def test_invokers_are_billed_for_waiting_for_their_clients(learnt):
    calls = read_run(learnt.directory, "invocations").to_pandas()
    key = ["server_round", "client_id", "attempt"]
    both = calls[calls["function"] == "client"].merge(calls[calls["function"] == "invoker"], on=key)
    assert len(both) == JOB.rounds * JOB.clients_per_round
    assert (calls["status"] == "success").all()
    assert (both["provider_s_y"] > both["provider_s_x"]).all()
    assert set(both["memory_limit_bytes_y"]) == {128 * 2**20}
    assert (both["worker_peak_rss_bytes_y"] < 128 * 2**20).all()
    assert both["activation_id_x"].notna().all()
    assert (both["activation_id_x"] != both["activation_id_y"]).all()
    first_asked = ~both.sort_values("server_round").duplicated("client_id")
    assert (both["is_cold_y"] == first_asked).all()  # an invoker for each client, warm when it is asked again


def test_the_tables_obey_their_laws(learnt):
    tables = {name: read_run(learnt.directory, name).to_pandas() for name in ("rounds", "invocations")}
    for law in RULES:
        if law.table == "invocations" or "counts" in law.text or "sum over its invocations" in law.text:
            assert not law.broken(tables).any(), law.text


def test_no_copy_and_no_key_stays_behind(learnt):
    assert not list(learnt.directory.glob("store/**/*.safetensors"))
    _, secret = learnt.key.split(":")
    files = [path for path in learnt.directory.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"invocations.jsonl", "rounds.jsonl", "emulator.log", "register.sqlite"}
    for path in files:
        assert secret.encode() not in path.read_bytes(), path
