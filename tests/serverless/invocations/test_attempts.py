"""Single attempts: each is a row, none is made blindly, and no answer is trusted unseen."""

from dataclasses import dataclass, field

import pytest

from metrics.collect.probe import Probe
from serverless.invocations.answers import read_client_answer
from serverless.invocations.attempts import direct_invoker
from serverless.invocations.work import Success
from serverless.platforms.protocol import FunctionSpec, Invocation
from serverless.storage import StoreError
from tests.serverless.invocations.scripted_work import ScriptedWork

CLIENT = FunctionSpec("client", memory_mb=256, timeout_s=60)


@dataclass
class Scripted:
    """A platform that answers from a list and remembers what it was asked."""

    answers: list[Invocation]
    asked: list[dict] = field(default_factory=list)
    name: str = "scripted"

    def invoke(self, function, params):
        self.asked.append(params)
        return self.answers[len(self.asked) - 1]


def answer(**changes):
    probe = Probe()
    with probe.phase("train"):
        pass
    known = {"num_examples": 600, "train_loss": 0.5, "bytes_in": 7, "bytes_out": 8, "work": probe.report().to_dict()}
    known["update_sha256"] = 64 * "a"
    return known | changes


def success(**changes):
    return Invocation("a1", answer(**changes), provider_s=1.5, wait_s=0.25, init_s=0.5)


def failure(kind="application error", **changes):
    return Invocation("a0", None, kind, "it went wrong", **changes)


def attempt(invocation, number=1, unheard=(), in_store=()):
    """Make one attempt; ``in_store`` are the attempts whose updates lie in the store."""
    platform = Scripted([invocation])
    work = ScriptedWork(
        4,
        17,
        600,
        params=lambda number: {"attempt": number},
        read=lambda result: read_client_answer(result, 600),
        found=lambda number: Success(number) if number in in_store else None,
    )
    return direct_invoker(platform, CLIENT, "run").attempt(work, number, unheard), platform


def test_a_success_is_a_row_with_the_three_clocks():
    made, platform = attempt(success(), number=2)
    row = made.row
    assert platform.asked == [{"attempt": 2}]
    assert (made.success.attempt, made.error_kind) == (2, None)
    assert (row.server_round, row.client_id, row.attempt, row.function) == (4, 17, 2, "client")
    assert (row.status, row.error_kind, row.activation_id, row.platform) == ("success", None, "a1", "scripted")
    assert (row.provider_s, row.platform_wait_s, row.init_s) == (1.5, 0.25, 0.5)
    assert row.function_s == made.success.report.seconds > 0
    assert row.client_s > 0
    assert (row.bytes_in, row.bytes_out, row.num_examples, row.train_loss) == (7, 8, 600, 0.5)
    assert row.memory_limit_bytes == 256 * 1024 * 1024


def test_what_the_platform_got_over_on_the_way_is_told_of_a_success():
    made, _ = attempt(Invocation("a1", answer(), got_over="no answer"))
    assert (made.row.status, made.row.error_kind) == ("success", "no answer")


def test_a_failure_is_a_row_too():
    made, _ = attempt(failure())
    assert (made.row.status, made.row.error_kind, made.row.activation_id) == ("failed", "application error", "a0")
    assert (made.success, made.error, made.may_be_done, made.was_refused) == (None, "it went wrong", True, False)
    assert made.row.cpu_s is None


def test_work_whose_answer_was_lost_is_recognised_by_its_key():
    made, _ = attempt(failure("no answer"), number=3, in_store=[3])
    assert (made.success.attempt, made.success.report) == (3, None)
    assert made.row.error_kind == "no answer"


def test_nothing_is_invoked_once_an_earlier_attempt_has_turned_up():
    made, platform = attempt(success(), number=2, unheard=(1,), in_store=[1])
    assert platform.asked == []
    assert (made.success.attempt, made.row) == (1, None)


def test_an_earlier_attempt_that_turns_up_while_the_next_one_fails_counts():
    turned_up = []
    platform = Scripted([failure()])
    platform.invoke = lambda function, params: turned_up.append(1) or failure()
    work = ScriptedWork(1, 0, 1, found=lambda number: Success(number) if number in turned_up else None)
    made = direct_invoker(platform, CLIENT, "run").attempt(work, 2, unheard=(1,))
    assert made.success.attempt == 1
    assert made.row.attempt == 2


def test_work_that_cannot_have_run_is_not_looked_for():
    made, _ = attempt(failure("throttled", may_have_run=False), in_store=[1])
    assert made.success is None
    assert (made.was_refused, made.may_be_done) == (True, False)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (None, "rubbish answer"),
        ({}, "rubbish answer"),
        ({"error": "x"}, "rubbish answer"),
        (answer(work=None), "rubbish answer"),
        (answer(work={"spans": []}), "rubbish answer"),
        (answer(work=answer()["work"] | {"cpu_s": "much"}), "rubbish answer"),
        (answer(work=answer()["work"] | {"ended_at": float("nan")}), "rubbish answer"),
        (answer(work=answer()["work"] | {"spans": [{"phase": "train", "start": None, "end": 1.0}]}), "rubbish answer"),
        (answer(work=answer()["work"] | {"spans": ["train"]}), "rubbish answer"),
        (answer(num_examples="600"), "rubbish answer"),
        (answer(bytes_in=-1), "rubbish answer"),
        (answer(train_loss=[]), "rubbish answer"),
        (answer(num_examples=599), "corrupt update"),
        (answer(train_loss=float("nan")), "corrupt update"),
        (answer(update_sha256=None), "rubbish answer"),
    ],
)
def test_an_answer_that_cannot_be_used_is_a_failed_attempt_of_which_nothing_is_believed(result, kind):
    made, _ = attempt(Invocation("a1", result, provider_s=1.0))
    assert (made.success, made.error_kind) == (None, kind)
    assert (made.row.status, made.row.error_kind, made.row.provider_s) == ("failed", kind, 1.0)
    assert (made.row.num_examples, made.row.cpu_s, made.row.bytes_in) == (None, None, None)


def test_a_rubbish_answer_does_not_undo_work_that_is_in_the_store_but_a_wrong_update_is_not_taken():
    assert attempt(Invocation("a1", {}), in_store=[1])[0].success.attempt == 1
    assert attempt(success(num_examples=1), in_store=[1])[0].success is None


@pytest.mark.parametrize("loss", [None, 0.0, 3])
def test_a_loss_may_be_any_finite_number(loss):
    assert attempt(success(train_loss=loss))[0].success


@pytest.mark.parametrize("kind", ["payload too large", "unauthorized", "forbidden"])
def test_a_refusal_that_would_be_repeated_is_final(kind):
    assert attempt(failure(kind, may_have_run=False))[0].is_final


def test_a_store_that_cannot_be_asked_costs_no_attempt():
    def unreachable(number):
        raise StoreError("gone")

    platform = Scripted([success()])
    work = ScriptedWork(1, 0, 1, found=unreachable)
    made = direct_invoker(platform, CLIENT, "run").attempt(work, 2, unheard=(1,))
    assert platform.asked == []
    assert (made.row, made.success, made.error_kind, made.was_refused) == (None, None, "store unreachable", True)
