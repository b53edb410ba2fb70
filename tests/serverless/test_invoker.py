"""Attempts: retried when it helps, never when it does not, never blindly, and all written down."""

from dataclasses import dataclass, field

import pytest

from metrics.probe import Probe
from serverless import invoker as invoker_module
from serverless.invoker import Invoker, WorkFailed
from serverless.platforms.protocol import FunctionSpec, Invocation

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


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    waits = []
    monkeypatch.setattr(invoker_module.time, "sleep", waits.append)
    return waits


def success():
    probe = Probe()
    with probe.phase("train"):
        pass
    result = {"num_examples": 600, "train_loss": 0.5, "bytes_in": 7, "bytes_out": 8, "work": probe.report().to_dict()}
    return Invocation("a1", result, provider_s=1.5, wait_s=0.25, init_s=0.5)


def failure(kind="application error", **changes):
    return Invocation("a0", None, kind, "it went wrong", **changes)


def invoke(*answers, max_attempts=3, is_done=lambda attempt: False):
    platform = Scripted(list(answers))
    invoker = Invoker(platform, CLIENT, "run", max_attempts)
    return invoker.invoke(4, 17, lambda attempt: {"attempt": attempt}, is_done), platform


def test_a_success_is_one_row_with_the_three_clocks():
    done, platform = invoke(success())
    (row,) = done.rows
    assert platform.asked == [{"attempt": 1}]
    assert (row.server_round, row.client_id, row.attempt, row.function) == (4, 17, 1, "client")
    assert (row.status, row.error_kind, row.activation_id, row.platform) == ("success", None, "a1", "scripted")
    assert (row.provider_s, row.platform_wait_s, row.init_s) == (1.5, 0.25, 0.5)
    assert row.function_s == done.work.seconds > 0
    assert row.client_s > 0
    assert (row.bytes_in, row.bytes_out, row.num_examples, row.train_loss) == (7, 8, 600, 0.5)
    assert row.memory_limit_bytes == 256 * 1024 * 1024


def test_a_failed_attempt_is_a_row_and_is_retried_with_growing_waits(no_waiting):
    done, platform = invoke(failure(), failure("throttled", may_have_run=False), success())
    assert [row.status for row in done.rows] == ["failed", "failed", "success"]
    assert [row.error_kind for row in done.rows] == ["application error", "throttled", None]
    assert [row.attempt for row in done.rows] == [1, 2, 3] == [asked["attempt"] for asked in platform.asked]
    assert done.attempt == 3
    assert 0.25 <= no_waiting[0] <= 0.75
    assert 0.5 <= no_waiting[1] <= 1.5


def test_work_whose_answer_was_lost_is_not_done_again():
    done, platform = invoke(failure("no answer", may_have_run=True), is_done=lambda attempt: attempt == 1)
    assert len(platform.asked) == 1
    assert done.attempt == 1
    assert done.work is None
    assert done.rows[0].status == "failed"
    assert done.rows[0].cpu_s is None


def test_work_that_cannot_have_run_is_not_looked_for():
    looked = []
    invoke(failure("unreachable", may_have_run=False), success(), is_done=looked.append)
    assert not looked


def test_giving_up_keeps_the_attempts_and_says_whose_and_why():
    with pytest.raises(WorkFailed, match=r"round 4: the client function of client 17 failed in 2 attempts.*wrong") as e:
        invoke(failure(), failure(), max_attempts=2)
    assert [row.attempt for row in e.value.rows] == [1, 2]


@pytest.mark.parametrize("kind", ["payload too large", "unauthorized", "forbidden"])
def test_a_refusal_that_would_be_repeated_is_final(kind):
    with pytest.raises(WorkFailed, match="in 1 attempts"):
        invoke(failure(kind, may_have_run=False), success())
