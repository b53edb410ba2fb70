"""Rounds that are closed early, on the real embedded server: the weights are those of the updates that counted."""

from dataclasses import replace

import pytest

from metrics.analysis.checks.rules import RULES
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.rounds.round_policies import Deadline, FirstK
from serverless.storage import DirectorySettings
from task.data import load_images
from task.job import FederatedJob
from task.weights import sha256
from tests.support.replay import counted, replay

SMALL = FederatedJob(model="mlp50", clients_per_round=5, rounds=4, local_epochs=1)
CASES = {
    "first 2 of 5, seed 0": (FirstK(2), SMALL),
    "first 3 of 5, seed 1, kept states": (
        FirstK(3),
        replace(SMALL, seed=1, optimizer_state="keep", clients=6, batch_size=500),
    ),
    "first 4 of 5, seed 2": (FirstK(4), replace(SMALL, seed=2)),
    "deadline, seed 0": (Deadline(0.05, 2), SMALL),
    "deadline, seed 1": (Deadline(0.02, 1), replace(SMALL, seed=1)),
    "first 2 of 3 with TensorFlow": (FirstK(2), replace(SMALL, model="nn", clients_per_round=3, rounds=2)),
}
EXAMPLES = ("first 3 of 5, seed 1, kept states", "deadline, seed 0")
OTHERS = [pytest.param(name, marks=pytest.mark.exhaustive) for name in CASES if name not in EXAMPLES]


@pytest.mark.server
@pytest.mark.training
@pytest.mark.parametrize("case", [*EXAMPLES, *OTHERS])
def test_the_weights_are_those_of_the_updates_that_counted_and_every_attempt_has_its_row(
    case, mnist_settings, tmp_path
):
    policy, job = CASES[case]
    settings = keeper.ServerlessSettings(
        platform=OpenWhiskSettings(pool_memory_mb=11 * 1024),
        store=DirectorySettings(tmp_path / "store"),
        data=mnist_settings,
        client=FunctionSpec("client", memory_mb=1024, timeout_s=60),
        aggregator=FunctionSpec("aggregator", memory_mb=1024, timeout_s=60),
        in_flight=job.clients_per_round,
        policy=policy,
    )
    digest = sha256(keeper.run(job, settings, Recorder("run", tmp_path)))

    rounds, calls = (read_run(tmp_path, name).to_pandas() for name in ("rounds", "invocations"))
    told = counted(calls, rounds["server_round"])
    assert all(policy.needs(job.clients_per_round) <= len(clients) for clients in told)
    assert rounds["weights_sha256"].tolist() == replay(job, load_images("mnist", mnist_settings), told)
    assert rounds["weights_sha256"].iloc[-1] == digest

    clients = calls[calls["function"] == "client"]
    assert (clients.groupby("server_round").size() == job.clients_per_round).all()  # stragglers too, each once
    assert clients["provider_s"].notna().all()
    assert clients["cpu_s"].notna().all()
    runs = rounds[["run_id"]].drop_duplicates().assign(status="success", resumes=0)
    tables = {"runs": runs, "rounds": rounds, "invocations": calls}
    assert [law.text for law in RULES if law.table in ("rounds", "invocations") and law.broken(tables).any()] == []
    assert not [path for path in (tmp_path / "store").rglob("*.*") if path.is_file()]
