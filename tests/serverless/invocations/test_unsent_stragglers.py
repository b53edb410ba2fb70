"""Attempts of a closed round that were not sent in the end: each has its row, and none is an error."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from machine.clocks import now
from serverless.invocations import journal
from serverless.invocations.attempt_rows import AttemptRows
from serverless.invocations.attempts import NOT_SENT, Attempted, DirectCaller, Invoker
from serverless.invocations.dispatcher import Dispatcher, Retries
from serverless.invocations.work import Success
from serverless.platforms.protocol import FunctionSpec, Invocation
from serverless.register.clients import RegisterError, open_register
from tests.serverless.invocations.scripted_work import ScriptedWork

CLIENT = FunctionSpec("client", memory_mb=256, timeout_s=60)


class Untouched:
    """A platform that must not be asked."""

    name = "untouched"

    def invoke(self, function, params):
        pytest.fail("it was invoked")


def work(server_round):
    return ScriptedWork(server_round, 0, 600)


def invoker_on(platform, **options):
    return Invoker(CLIENT, DirectCaller(platform, CLIENT), AttemptRows("run", platform.name, "client", 256), **options)


@pytest.fixture
def noted(tmp_path):
    with open_register(f"sqlite:///{tmp_path}/register.sqlite", "run") as register:
        register.enrol([0])
        assert register.begin(0, 2, 1, now())
        yield invoker_on(Untouched(), journal=journal.RegisterJournal(register))


def test_an_attempt_that_its_clients_next_round_has_overtaken_is_not_sent(noted):
    attempted = noted.attempt(work(1), 2)
    assert (attempted.row, attempted.error_kind, attempted.was_refused) == (None, NOT_SENT, True)


def test_an_attempt_that_another_keeper_has_begun_is_still_an_error(noted):
    with pytest.raises(RegisterError, match="another run of run"):
        noted.attempt(work(2), 1)


@pytest.mark.parametrize(
    ("ended", "kind"),
    [
        (Attempted(1, error_kind="store unreachable", was_refused=True), "store unreachable"),
        (Attempted(1, success=Success(1)), NOT_SENT),
    ],
)
def test_a_straggler_that_was_never_sent_is_told_as_such(ended, kind):
    gate, late = threading.Event(), []

    class Waiting(Invoker):
        def attempt(self, work, number, unheard=()):
            assert gate.wait(20)
            return ended

    with ThreadPoolExecutor(1) as threads:
        made = Dispatcher(Waiting(**vars(invoker_on(Untouched()))), threads, Retries(), late.append, in_flight=1)
        made.start([work(1)])
        assert made.leave().out == 1
        gate.set()
        made.see_off(20)
    assert [(row.attempt, row.error_kind, row.provider_s) for row in late] == [(1, kind, None)]


def test_a_keepers_own_failed_attempt_is_not_waited_for_where_the_platform_outlives_it(noted, monkeypatch):
    class Failing(Untouched):
        def invoke(self, function, params):
            return Invocation("a", None, "application error", "it raised")

    monkeypatch.setattr(journal.time, "sleep", lambda _: pytest.fail("it waited"))
    failing = invoker_on(Failing(), journal=noted.journal, outlives_keeper_s=60)
    first = failing.attempt(work(3), 1)
    assert first.may_be_done
    assert failing.attempt(work(3), 2, [1]).row.attempt == 2
