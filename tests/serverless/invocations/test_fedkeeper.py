"""FedKeeper's topology: what an invoker's answer says of its client, and the two rows of an attempt."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from metrics.collect.probe import Probe
from serverless.invocations.attempt_rows import AttemptRows
from serverless.invocations.attempts import Invoker
from serverless.invocations.fedkeeper import Relay, RelayedCaller, deploy_invokers, invoker_of
from serverless.invocations.journal import RegisterJournal
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError
from serverless.register.clients import open_register
from tests.serverless.invocations.scripted_work import ScriptedWork

LIMITS = FunctionSpec("invoker", memory_mb=128, timeout_s=300)
CLIENT = FunctionSpec("client", memory_mb=2048, timeout_s=300)


def work_report():
    return Probe().report().to_dict()


def record(**result):
    answer = {"num_examples": 10, "train_loss": 0.5, "bytes_in": 1, "bytes_out": 2, "work": work_report()}
    answer = {**answer, "update_sha256": 64 * "a", **result}
    notes = [{"key": "waitTime", "value": 5}, {"key": "initTime", "value": 40}]
    response = {"success": True, "status": "success", "result": answer}
    return {"activationId": "of-the-client", "duration": 1500, "annotations": notes, "response": response}


def answer(**told):
    return {"bytes_in": 100, "bytes_out": 100, "work": work_report(), **told}


class OpenWhisk:
    """A platform that answers what it is told to, and remembers what it was asked."""

    name = "openwhisk"

    def __init__(self, told=None):
        self.told, self.deployed, self.asked = told, [], []

    def deploy(self, function):
        self.deployed.append(function)

    def invoke(self, function, params):
        self.asked.append((function, params))
        return self.told


def invoker_params(server_round, client_id, attempt, function, params):
    return {
        "function": function,
        "weights_url": params["weights_url"],
        "copy_url": "put",
        "params": {**params, "weights_url": "copy"},
    }


WORK = ScriptedWork(
    server_round=4,
    client_id=7,
    num_examples=10,
    params=lambda attempt: {"client_id": 7, "weights_url": "global"},
)


@pytest.fixture
def attempt(tmp_path):
    def make(told):
        platform = OpenWhisk(told)
        relay = Relay(LIMITS, SimpleNamespace(invoker_params=invoker_params))
        with open_register(f"sqlite:///{tmp_path}/register.sqlite", "run") as register:
            register.enrol([7])
            caller, rows = (
                RelayedCaller(platform, CLIENT, relay, "run"),
                AttemptRows("run", "openwhisk", "client", 2048),
            )
            invoker = Invoker(CLIENT, caller, rows, RegisterJournal(register))
            attempted = invoker.attempt(WORK, 1)
        return platform, attempted, relay.taken_rows()

    return make


def test_the_client_is_invoked_by_its_own_invoker_with_a_copy_of_the_weights(attempt):
    platform, *_ = attempt(Invocation("of-the-invoker", answer(record=record())))
    ((function, params),) = platform.asked
    assert (function.name, function.memory_mb) == ("invoker-00007", 128)
    assert params == {
        "function": "client",
        "weights_url": "global",
        "copy_url": "put",
        "params": {"client_id": 7, "weights_url": "copy"},
    }


def test_an_attempt_has_a_row_of_the_client_and_one_of_its_invoker(attempt):
    told = Invocation("of-the-invoker", answer(record=record()), provider_s=1.9, wait_s=0.01)
    _, attempted, (relayed,) = attempt(told)
    row = attempted.row
    assert attempted.success
    assert (row.function, row.activation_id, row.provider_s) == ("client", "of-the-client", 1.5)
    assert (row.platform_wait_s, row.init_s, row.memory_limit_bytes) == (0.005, 0.04, 2048 * 2**20)
    assert (relayed.function, relayed.activation_id, relayed.provider_s) == ("invoker", "of-the-invoker", 1.9)
    assert (relayed.memory_limit_bytes, relayed.bytes_in, relayed.num_examples) == (128 * 2**20, 100, None)
    assert (relayed.server_round, relayed.client_id, relayed.attempt) == (row.server_round, row.client_id, row.attempt)
    assert relayed.cpu_s is not None


def test_a_client_that_failed_is_told_by_an_invoker_that_did_not(attempt):
    failed = {"activationId": "c", "response": {"success": False, "status": "application error", "result": {}}}
    _, attempted, (relayed,) = attempt(Invocation("i", answer(record=failed)))
    assert (attempted.row.status, attempted.row.error_kind) == ("failed", "application error")
    assert relayed.status == "success"


def test_a_client_that_was_turned_away_cost_nothing_but_its_invoker(attempt):
    told = answer(error_kind="throttled", reason="too many", may_have_run=False)
    _, attempted, (relayed,) = attempt(Invocation("i", told))
    assert attempted.was_refused
    assert (attempted.row.error_kind, attempted.row.activation_id) == ("throttled", None)
    assert (relayed.status, relayed.activation_id) == ("success", "i")


def test_a_client_without_a_record_is_known_by_its_activation(attempt):
    told = answer(error_kind="no record", reason="late", may_have_run=True, activation_id="c")
    _, attempted, _ = attempt(Invocation("i", told))
    assert (attempted.row.error_kind, attempted.row.activation_id, attempted.may_be_done) == ("no record", "c", True)


@pytest.mark.parametrize("may_have_run", [True, False])
def test_an_invoker_that_failed_has_no_word_of_its_client(attempt, may_have_run):
    told = Invocation("i", None, "timed out", "300 s", may_have_run=may_have_run)
    _, attempted, (relayed,) = attempt(told)
    assert (attempted.row.error_kind, attempted.row.activation_id) == ("timed out", None)
    assert attempted.was_refused != may_have_run
    assert (relayed.status, relayed.error_kind) == ("failed", "timed out")


@pytest.mark.parametrize("rubbish", [{}, {"record": {}}, {"work": 3, "bytes_in": 1, "bytes_out": 1}, answer(record=[])])
def test_rubbish_from_an_invoker_is_a_failed_attempt(attempt, rubbish):
    _, attempted, (relayed,) = attempt(Invocation("i", rubbish))
    assert attempted.success is None
    assert attempted.row.error_kind == "rubbish answer"
    assert relayed.activation_id == "i"


def test_each_client_has_an_invoker_that_may_invoke():
    platform = OpenWhisk()
    deploy_invokers(platform, range(2), LIMITS)
    assert platform.deployed == [invoker_of(0, LIMITS), invoker_of(1, LIMITS)]
    expected = replace(LIMITS, name="invoker-00001", code="invoker", may_invoke=True)
    assert platform.deployed[1] == expected


def test_a_platform_whose_functions_cannot_invoke_is_refused():
    platform = OpenWhisk()
    platform.name = "openfaas"
    with pytest.raises(PlatformError, match="functions on openfaas cannot invoke others"):
        deploy_invokers(platform, range(2), LIMITS)
    assert platform.deployed == []
