"""A keeper that is killed in the middle of a round, and the one that goes on: only lost work is done twice."""

import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest

from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.register.clients import open_register
from serverless.register.database import RegisterSettings
from serverless.rounds.round_policies import FirstK, WaitAll
from serverless.storage import DirectorySettings
from task.job import FederatedJob
from task.selection import select_clients
from task.weights import Stamp, dumps, loads, sha256
from tests.serverless.local_platform import LocalPlatform

JOB = FederatedJob(model="mlp50", clients=6, clients_per_round=4, rounds=3, local_epochs=1, batch_size=20, seed=3)
NUM_EXAMPLES = 40
SECOND_ROUND = select_clients(JOB, 2)
WAIT_ALL = WaitAll()


@pytest.fixture
def learn(small_mnist, mnist_settings, monkeypatch):
    """Make a run, or go on with one, in a folder; return the platform that it ran on, and its final hash."""

    def run(directory, script=lambda call: "ok", part=0, job=JOB, policy=WAIT_ALL, **platform):
        local = LocalPlatform(script)

        @contextmanager
        def opened(*_):
            yield local

        monkeypatch.setattr(keeper, "open_platform", opened)
        monkeypatch.setattr(keeper, "load_images", lambda *_: small_mnist)
        made = keeper.ServerlessSettings(
            platform=OpenWhiskSettings(**{"request_timeout_s": 5.0, **platform}),
            store=DirectorySettings(directory / "store"),
            data=mnist_settings,
            client=FunctionSpec("client", memory_mb=256, timeout_s=3.0),
            aggregator=FunctionSpec("aggregator", memory_mb=256, timeout_s=5.0),
            in_flight=1,
            policy=policy,
            register=RegisterSettings(f"sqlite:///{directory}/register.sqlite"),
        )
        directory.mkdir(exist_ok=True)
        weights = keeper.run(job, made, Recorder("run", directory, part=part))
        return local, sha256(weights)

    return run


def killed(learn, directory, at, otherwise=lambda call: "ok", **options):
    """Run it in a process that is killed when the call ``at`` (function, round, client) reaches the platform."""

    def script(call):
        if (call.function, call.server_round, call.client_id) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return otherwise(call)

    pid = os.fork()
    if pid == 0:
        try:
            learn(directory, script, **options)
        finally:
            os._exit(1)  # it should not come to this
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def trained(platform, server_round):
    return [call.client_id for call in platform.calls if (call.function, call.server_round) == ("client", server_round)]


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_after_a_kill_no_finished_client_is_invoked_again_and_the_weights_are_the_same(learn, tmp_path, finished):
    _, unbroken = learn(tmp_path / "unbroken")
    killed(learn, tmp_path / "broken", ("client", 2, SECOND_ROUND[finished]))
    platform, final = learn(tmp_path / "broken", part=1)
    assert trained(platform, 1) == []
    assert trained(platform, 2) == list(SECOND_ROUND[finished:])
    assert final == unbroken
    calls = read_run(tmp_path / "broken", "invocations").to_pandas()
    counted = calls[(calls["function"] == "client") & (calls["status"] == "success")]
    assert counted.groupby("server_round")["client_id"].apply(tuple).tolist() == [
        select_clients(JOB, number) for number in (1, 2, 3)
    ]
    of_finished = counted[(counted["server_round"] == 2) & counted["client_id"].isin(SECOND_ROUND[:finished])]
    assert of_finished["attempt"].tolist() == [1] * finished
    assert of_finished["cpu_s"].notna().all()  # what the killed keeper had measured is not lost
    assert list((tmp_path / "broken" / "store").rglob("*.safetensors")) == []


def test_when_only_the_average_was_lost_only_the_average_is_made_again(learn, tmp_path):
    _, unbroken = learn(tmp_path / "unbroken")
    killed(learn, tmp_path / "broken", ("aggregator", 2, None))
    platform, final = learn(tmp_path / "broken", part=1)
    assert trained(platform, 2) == []
    assert final == unbroken


def test_an_update_whose_answer_was_lost_before_the_kill_has_the_row_of_a_success(learn, tmp_path):
    def script(call):
        return "lost" if (call.server_round, call.client_id) == (2, SECOND_ROUND[1]) else "ok"

    killed(learn, tmp_path / "broken", ("aggregator", 2, None), script)
    platform, _ = learn(tmp_path / "broken", part=1)
    assert trained(platform, 2) == []
    calls = read_run(tmp_path / "broken", "invocations").to_pandas()
    counted = calls[(calls["function"] == "client") & (calls["server_round"] == 2) & (calls["status"] == "success")]
    assert tuple(counted["client_id"]) == SECOND_ROUND
    assert set(counted["num_examples"]) == {NUM_EXAMPLES}


def test_killed_while_a_round_is_written_down_nobody_trains_again(learn, tmp_path, monkeypatch):
    _, unbroken = learn(tmp_path / "unbroken")
    write_down = Recorder.round
    with monkeypatch.context() as patch:
        patch.setattr(
            Recorder,
            "round",
            lambda recorder, row, rows: (
                os.kill(os.getpid(), signal.SIGKILL) if row.server_round == 2 else write_down(recorder, row, rows)
            ),
        )
        killed(learn, tmp_path / "broken", None)
    platform, final = learn(tmp_path / "broken", part=1)
    assert trained(platform, 2) == []
    assert final == unbroken


def _older(update, other):
    update.write_bytes(other.read_bytes())


def _rewritten(update, other):
    stamp = Stamp(2, SECOND_ROUND[1], 1, NUM_EXAMPLES)
    update.write_bytes(dumps({name: -array for name, array in loads(update.read_bytes()).items()}, stamp))


@pytest.mark.parametrize(
    "spoil",
    [lambda update, other: update.unlink(), lambda update, other: update.write_bytes(b"x"), _older, _rewritten],
    ids=["gone", "rubbish", "of another client", "rewritten"],
)
def test_an_update_that_is_gone_or_another_does_not_count_and_is_trained_again(learn, tmp_path, spoil):
    _, unbroken = learn(tmp_path / "unbroken")
    killed(learn, tmp_path / "broken", ("aggregator", 2, None))
    gone = SECOND_ROUND[1]
    update, other = (
        next((tmp_path / "broken" / "store").rglob(f"client-{client:05d}-attempt-1.safetensors"))
        for client in (gone, SECOND_ROUND[0])
    )
    spoil(update, other)
    platform, final = learn(tmp_path / "broken", part=1)
    assert trained(platform, 2) == [gone]
    assert final == unbroken
    calls = read_run(tmp_path / "broken", "invocations").to_pandas()
    mine = calls[(calls["server_round"] == 2) & (calls["client_id"] == gone)]
    assert mine[["attempt", "status", "error_kind"]].replace({np.nan: None}).values.tolist() == [
        [1, "failed", "corrupt update"],
        [2, "success", None],
    ]


def test_of_more_updates_than_a_round_counts_the_first_ones_count(learn, tmp_path):
    """Answers came while no keeper was there to close the round after the first two."""
    killed(learn, tmp_path / "broken", ("aggregator", 2, None))
    platform, _ = learn(tmp_path / "broken", part=1, policy=FirstK(2))
    assert trained(platform, 2) == []
    calls = read_run(tmp_path / "broken", "invocations").to_pandas()
    of_round = calls[(calls["server_round"] == 2) & (calls["function"] == "client")].set_index("client_id")["status"]
    assert of_round.to_dict() == dict(zip(SECOND_ROUND, ["success", "success", "discarded", "discarded"], strict=True))
    rounds = read_run(tmp_path / "broken", "rounds").to_pandas().set_index("server_round")
    assert rounds.loc[2, ["updates", "stragglers"]].tolist() == [2, 2]


def test_the_lost_attempt_is_a_failed_row_and_the_next_has_another_number(learn, tmp_path):
    killed(learn, tmp_path / "broken", ("client", 2, SECOND_ROUND[1]))
    learn(tmp_path / "broken", part=1)
    calls = read_run(tmp_path / "broken", "invocations").to_pandas()
    rows = calls[(calls["server_round"] == 2) & (calls["client_id"] == SECOND_ROUND[1])]
    assert rows[["attempt", "status"]].values.tolist() == [[1, "failed"], [2, "success"]]
    assert rows["error_kind"].tolist()[0] == "no answer"


def test_an_update_that_nobody_heard_of_is_found_in_the_store(learn, tmp_path):
    """The function had delivered when the keeper was killed: its answer is lost, its work is not."""
    _, unbroken = learn(tmp_path / "unbroken")
    broken, client = tmp_path / "broken", SECOND_ROUND[1]
    killed(learn, broken, ("client", 2, SECOND_ROUND[2]))
    with open_register(f"sqlite:///{broken}/register.sqlite", "run") as register:  # as it was a moment earlier
        from serverless.register.database import CLIENTS

        with register.engine.begin() as connection:
            mine = CLIENTS.c.client_id == client
            connection.execute(CLIENTS.update().where(mine).values(state="in_flight", report=None))
    platform, final = learn(broken, part=1)
    assert trained(platform, 2) == [SECOND_ROUND[2], SECOND_ROUND[3]]
    assert final == unbroken


def test_a_platform_that_outlives_the_keeper_is_waited_for(learn, tmp_path, monkeypatch):
    """The activation in flight may still deliver until its time limit: it is not made again before."""
    monkeypatch.setenv("OPENWHISK_AUTH", "a:b")
    far = {"api_host": "http://127.0.0.1:9"}
    killed(learn, tmp_path / "broken", ("client", 2, SECOND_ROUND[3]), **far)
    calls = []

    def script(call):
        calls.append((call, time.time()))
        return "ok"

    with open_register(f"sqlite:///{tmp_path}/broken/register.sqlite", "run") as register:
        sent_at = register.activations(2)[SECOND_ROUND[3]].submitted_at
    learn(tmp_path / "broken", script, part=1, **far)
    (again,) = [moment for call, moment in calls if (call.server_round, call.client_id) == (2, SECOND_ROUND[3])]
    assert again >= sent_at + 3.0  # the function's time limit


def test_a_second_keeper_at_the_same_run_is_told(learn, tmp_path):
    """Somebody else begins the attempt in the moment before this keeper does."""
    directory = tmp_path / "one"
    url = f"sqlite:///{directory}/register.sqlite"

    def script(call):
        if (call.function, call.server_round, call.client_id) == ("client", 2, SECOND_ROUND[0]):
            with open_register(url, "run") as other:
                assert other.begin(SECOND_ROUND[1], 2, 1, submitted_at=1.0)
        return "ok"

    with pytest.raises(keeper.RegisterError, match=r"attempt 1 of client \d in round 2 was begun by somebody else"):
        learn(directory, script, request_timeout_s=0.5)  # which is waited for in the end


def test_a_run_that_is_over_leaves_nobody_in_the_register(learn, tmp_path):
    learn(tmp_path / "run")
    with open_register(f"sqlite:///{tmp_path}/run/register.sqlite", "run") as register:
        assert register.activations() == {}
