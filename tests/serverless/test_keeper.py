"""The keeper's rounds over functions that go wrong: what counts, what is written down, and what is learnt."""

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.analysis.checks.rules import RULES
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.functions import aggregator, client, transfer
from serverless.invocations.attempts import WorkFailed
from serverless.invocations.dispatcher import Retries
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.rounds.round_policies import Deadline, FirstK, WaitAll
from serverless.storage import DirectorySettings
from task.job import FederatedJob, StrategySpec
from task.models import initial_weights
from task.selection import select_clients
from task.weights import dumps, sha256
from tests.serverless.local_platform import CORRUPT, ONLY_FOR_CLIENTS, RUBBISH, LocalPlatform
from tests.support.replay import counted, replay

JOB = FederatedJob(model="mlp50", clients=6, clients_per_round=4, rounds=2, local_epochs=1, batch_size=20, seed=3)
RETRIES = Retries(max_attempts=3, max_refused=3, backoff_s=0.001, longest_backoff_s=0.01)
FAULTS = ("ok", "throttled", "raises", "lost", "lost, late", "slow 0.01", "slow 0.05", *RUBBISH, *CORRUPT)


@pytest.fixture
def learn(small_mnist, mnist_settings, monkeypatch, tmp_path_factory):
    """Make a run on a local platform; return it, its final hash, its tables, and what is left in the store."""
    monkeypatch.setattr(transfer, "PATIENCE_S", 1.0)  # of functions that are late: their store may be gone by then

    def run(script, policy=None, job=JOB, on=None, **changes):
        platform = on or LocalPlatform(script)

        @contextmanager
        def opened(*_):
            yield platform

        monkeypatch.setattr(keeper, "open_platform", opened)
        monkeypatch.setattr(keeper, "load_images", lambda *_: small_mnist)
        directory = tmp_path_factory.mktemp("run")
        made = keeper.ServerlessSettings(
            platform=OpenWhiskSettings(request_timeout_s=5.0),
            store=DirectorySettings(directory / "store"),
            data=mnist_settings,
            client=FunctionSpec("client", memory_mb=256, timeout_s=5.0),
            aggregator=FunctionSpec("aggregator", memory_mb=256, timeout_s=5.0),
            in_flight=10,
            policy=policy or WaitAll(),
            retries=RETRIES,
        )
        made = replace(made, **changes)
        try:
            return Run(platform, directory, job, sha256(keeper.run(job, made, Recorder("run", directory))))
        except WorkFailed as error:
            return Run(platform, directory, job, None, str(error))
        finally:
            for late in platform.background:
                late.join()

    return run


class Run:
    """What a run left."""

    def __init__(self, platform, directory, job, final, error=None):
        self.platform, self.job, self.final, self.error = platform, job, final, error
        self.rounds, self.calls = (read_run(directory, name).to_pandas() for name in ("rounds", "invocations"))
        self.left = [path.name for path in (directory / "store").rglob("*.*") if path.is_file()]

    def statuses(self, client_id, function="client"):
        rows = self.calls[(self.calls["function"] == function) & (self.calls["server_round"] == 1)]
        rows = rows if client_id is None else rows[rows["client_id"] == client_id]
        return [(row.attempt, row.status, row.error_kind) for row in rows.replace({np.nan: None}).itertuples()]

    def check(self, mnist):
        """Hold it to the laws of the tables, and its weights to those of the updates that counted."""
        runs = self.rounds[["run_id"]].drop_duplicates().assign(status="success", resumes=0)
        tables = {"runs": runs, "rounds": self.rounds, "invocations": self.calls}
        for law in RULES:
            if law.table in ("rounds", "invocations"):
                assert not law.broken(tables).any(), law.text
        told = counted(self.calls, self.rounds["server_round"])
        assert list(self.rounds["updates"]) == [len(set(clients)) for clients in told]
        assert list(self.rounds["weights_sha256"]) == replay(self.job, mnist, told)
        if self.final is not None:
            assert self.final == self.rounds["weights_sha256"].iloc[-1]
        return told


FIRST, SECOND, THIRD, FOURTH = select_clients(JOB, 1)


def once(fault, client_id=FIRST, function="client"):
    """Let a fault befall the first attempt of a client in the first round, and nothing else go wrong."""

    def script(call):
        met = (call.function, call.server_round, call.attempt) == (function, 1, 1)
        return fault if met and (function == "aggregator" or call.client_id == client_id) else "ok"

    return script


@pytest.mark.parametrize("fault", FAULTS)
def test_every_client_counts_once_whatever_befell_its_first_attempt(learn, small_mnist, fault):
    run = learn(once(fault))
    told = run.check(small_mnist)
    assert told == [select_clients(JOB, number) for number in (1, 2)]
    assert run.left == []
    (*others, (_, last, kind)) = run.statuses(FIRST)
    assert "success" in (last, *(status for _, status, _ in others))
    if fault != "lost, late":  # it may turn up before the next attempt is sent, or after
        assert last == "success"
        assert len(others) == (fault in ("throttled", "raises", *ONLY_FOR_CLIENTS))
    if fault in ("lost", *RUBBISH) and fault not in ONLY_FOR_CLIENTS:
        assert kind in ("no answer", "rubbish answer")  # its work was in the store: not invoked again
    if fault in ONLY_FOR_CLIENTS:
        assert others == [(1, "failed", "corrupt update")]


WITH_STATE = [  # the strategy's own alone, and that of its clients, too
    StrategySpec("fedyogi", eta=0.1, beta_1=0.9, beta_2=0.99, tau=0.001),
    StrategySpec("scaffold", eta=1.0),
]


@pytest.mark.parametrize("strategy", [StrategySpec(), *WITH_STATE], ids=lambda strategy: strategy.name)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ONLY_FOR_CLIENTS])
def test_a_round_is_averaged_once_whatever_befell_the_aggregator(learn, small_mnist, fault, strategy):
    run = learn(once(fault, function="aggregator"), job=replace(JOB, optimizer="sgd", strategy=strategy, rounds=3))
    run.check(small_mnist)
    invoked = sum(call.function == "aggregator" and call.server_round == 1 for call in run.platform.calls)
    if fault != "lost, late":  # it may turn up before the next attempt is sent
        assert invoked == 1 + (fault in ("throttled", "raises"))
    assert run.statuses(None, "aggregator")[-1][1] == "success"
    assert run.rounds["test_accuracy"].notna().all()


@pytest.mark.parametrize("fault", CORRUPT)
def test_the_aggregator_names_the_corrupt_update_and_only_its_client_trains_again(learn, fault):
    run = learn(once(fault))
    again = [call for call in run.platform.calls if call.server_round == 1 and call.attempt == 2]
    assert {(call.function, call.client_id) for call in again} == {("client", FIRST), ("aggregator", None)}
    assert run.statuses(None, "aggregator") == [(1, "failed", "corrupt update"), (2, "success", None)]


def test_an_aggregator_that_is_never_heard_of_ends_the_run_as_a_failed_one(learn):
    """Whatever its thread waits for: the attempts are rows, the updates stay, and the error says what to do."""
    gate = threading.Event()
    platform = LocalPlatform(lambda call: "gate" if call.function == "aggregator" else "ok", gates={"gate": gate})
    brief = {
        "platform": OpenWhiskSettings(request_timeout_s=0.1),
        "client": FunctionSpec("client", memory_mb=256, timeout_s=0.1),
        "aggregator": FunctionSpec("aggregator", memory_mb=256, timeout_s=0.1),
        "grant_s": 1,
    }
    run = learn(None, on=platform, retries=replace(RETRIES, max_attempts=2), **brief)
    gate.set()
    assert "nothing came back within 1.2 s (platform.grant_s" in run.error
    assert run.statuses(None, "aggregator") == [(1, "failed", "no answer"), (2, "failed", "no answer")]
    assert run.statuses(FIRST) == [(1, "success", None)]
    assert any(name.startswith("client-") for name in run.left)  # the next process of the run averages these


def test_global_weights_that_a_store_reads_wrong_once_change_nothing_that_is_learnt(learn, monkeypatch):
    """They are whole, and of the right shapes: only their hash tells."""
    wrong, seen, real = dumps(initial_weights(JOB.model, 99)), set(), transfer.fetch

    def fetch(url, *more):
        if "/weights/" in url and url not in seen:
            seen.add(url)
            return wrong
        return real(url, *more)

    honest = learn(lambda call: "ok")
    for module in (transfer, client, aggregator):
        monkeypatch.setattr(module, "fetch", fetch)
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.001)
    run = learn(lambda call: "ok")
    assert len(seen) == JOB.rounds  # by the first client of each round
    assert run.final == honest.final
    assert set(run.calls["attempt"]) == {1}


def gated(policy_ends, stragglers):
    """Let some clients of the first round answer only when ``gate`` is opened."""
    return lambda call: "gate" if call.server_round == policy_ends and call.client_id in stragglers else "ok"


class OpensIn(LocalPlatform):
    """Opens its gate when the aggregator of a round is invoked."""

    opens_in: int = 2

    def invoke(self, function, params):
        if function.name == "aggregator" and f"round-{self.opens_in:05d}" in params["weights_url"]:
            self.gates["gate"].set()
        return super().invoke(function, params)


def straggling(stragglers, opens_in=2):
    platform = OpensIn(gated(1, stragglers), gates={"gate": threading.Event()})
    platform.opens_in = opens_in
    return platform


@pytest.mark.parametrize("policy", [FirstK(2), Deadline(0.3, 2)])
def test_late_updates_are_billed_rows_that_are_never_averaged(learn, small_mnist, policy):
    run = learn(None, policy, on=straggling({THIRD, FOURTH}))
    told = run.check(small_mnist)
    assert told[0] == (FIRST, SECOND)
    assert run.rounds["stragglers"].iloc[0] == 2
    late = run.calls[(run.calls["status"] == "discarded") & (run.calls["server_round"] == 1)]
    assert set(late["client_id"]) == {THIRD, FOURTH}
    assert late[["cpu_s", "function_s", "bytes_out"]].notna().all(axis=None)
    assert run.left == []


def test_what_comes_late_is_deleted_while_the_run_goes_on(learn):
    seen = {}

    class Looks(OpensIn):
        def invoke(self, function, params):
            if function.name == "aggregator":
                of_round = Path(params["updates"][0]["url"].removeprefix("file://"))
                seen[of_round.parent.name] = [
                    path.name for path in of_round.parents[2].glob("*/*1/**/*") if path.is_file()
                ]
            return super().invoke(function, params)

    platform = Looks(gated(1, {FOURTH}), gates={"gate": threading.Event()})
    learn(None, FirstK(3), job=replace(JOB, rounds=6, optimizer_state="keep"), on=platform)
    late = f"client-{FOURTH:05d}-attempt-1.safetensors"
    assert late not in seen["round-00006"]
    assert platform.gates["gate"].is_set()


def test_a_round_below_its_minimum_waits_beyond_the_deadline(learn, small_mnist):
    run = learn(lambda call: "slow 0.4" if call.server_round == 1 else "ok", Deadline(0.05, 4))
    told = run.check(small_mnist)
    assert len(told[0]) == 4
    assert run.rounds["round_s"].iloc[0] > 0.4


def test_a_straggler_that_never_answers_does_not_hang_the_run(learn, small_mnist):
    changes = {"client": FunctionSpec("client", memory_mb=256, timeout_s=0.2)}
    changes |= {"platform": OpenWhiskSettings(request_timeout_s=0.2)}
    platform = straggling({THIRD}, opens_in=99)
    run = learn(None, FirstK(3), on=platform, **changes)
    platform.gates["gate"].set()
    run.check(small_mnist)
    assert run.statuses(THIRD) == [(1, "discarded", "no answer")]


def test_clients_that_failed_for_good_are_done_without_as_long_as_enough_can_come(learn, small_mnist):
    fails = {FIRST, SECOND}
    run = learn(lambda call: "raises" if call.server_round == 1 and call.client_id in fails else "ok", FirstK(2))
    assert run.check(small_mnist)[0] == (THIRD, FOURTH)


def test_a_round_that_can_no_longer_be_closed_fails_the_run_with_the_counts_and_the_reason(learn):
    fails = {FIRST, SECOND, FOURTH}
    run = learn(lambda call: "raises" if call.client_id in fails else "ok", FirstK(2))
    assert run.error.startswith("round 1: policy first_k (k=2) needs 2 updates, but 3 of 4 clients failed for good: ")
    assert "it raised" in run.error
    assert run.rounds.empty
    assert {tuple(key) for key in run.calls[["client_id", "attempt"]].to_numpy()} >= {(c, 3) for c in fails}


def test_training_that_diverges_fails_those_who_wait_for_all_and_may_be_missing_elsewhere(learn, small_mnist):
    def diverges(call):
        return "not finite" if (call.server_round, call.client_id) == (1, FIRST) else "ok"

    assert "failed in 3 attempts, at last with corrupt update" in learn(diverges).error
    assert learn(diverges, FirstK(3)).check(small_mnist)[0] == (SECOND, THIRD, FOURTH)


def test_optimizer_states_go_on_only_for_clients_that_counted(learn, small_mnist):
    job = replace(JOB, optimizer="adam", optimizer_state="keep", clients=4, rounds=3)
    last = select_clients(job, 1)[-1]
    platform = straggling({last}, opens_in=1)
    run = learn(None, FirstK(3), job=job, on=platform)
    assert last not in run.check(small_mnist)[0]


def test_control_variates_go_on_only_for_clients_that_counted(learn, small_mnist):
    job = replace(JOB, optimizer="sgd", strategy=WITH_STATE[1], clients=4, rounds=3)
    last = select_clients(job, 1)[-1]
    run = learn(None, FirstK(3), job=job, on=straggling({last}, opens_in=1))
    assert last not in run.check(small_mnist)[0]


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    policy=st.one_of(
        st.just(WaitAll()), st.builds(FirstK, st.integers(1, 4)), st.just(Deadline(0.03, 2)), st.just(Deadline(0.03, 4))
    ),
    faults=st.dictionaries(
        st.tuples(st.integers(1, 2), st.integers(0, 5), st.integers(1, 2)), st.sampled_from(FAULTS), max_size=8
    ),
    averages=st.dictionaries(st.integers(1, 2), st.sampled_from(["lost", "raises", "throttled", "rubbish"])),
    keeps=st.booleans(),
    strategy=st.sampled_from([StrategySpec(), *WITH_STATE]),
)
def test_whatever_goes_wrong_the_weights_are_those_of_the_updates_that_counted(
    learn, small_mnist, policy, faults, averages, keeps, strategy
):
    def script(call):
        if call.function == "aggregator":
            return averages.get(call.server_round, "ok") if call.attempt == 1 else "ok"
        return faults.get((call.server_round, call.client_id, call.attempt), "ok")

    job = replace(JOB, optimizer="sgd" if strategy.name == "scaffold" else "adam", strategy=strategy)
    run = learn(script, policy, job=replace(job, optimizer_state="keep" if keeps else "reset"))
    told = run.check(small_mnist)
    assert run.error is None  # the third attempt always succeeds
    for number, clients in enumerate(told, start=1):
        assert policy.needs(4) <= len(clients) == len(set(clients))
        assert set(clients) <= set(select_clients(run.job, number))
    sent = [(call.function, call.server_round, call.client_id, call.attempt) for call in run.platform.calls]
    assert len(run.calls) == len(sent) == len(set(sent))  # every attempt has its row, and none was made twice
