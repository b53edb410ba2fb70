"""The dispatcher: what is tried again and when, what is left behind, and that no attempt is lost or told twice."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from machine.clocks import now
from metrics.collect.row_types import InvocationRow
from serverless.invocations.attempts import Attempted
from serverless.invocations.dispatcher import Dispatcher, Retries
from serverless.invocations.work import Success
from serverless.platforms.protocol import FunctionSpec
from tests.serverless.invocations.scripted_work import ScriptedWork

RESTFUL = Retries(backoff_s=3600.0, longest_backoff_s=3600.0)
RETRIES = Retries(max_attempts=3, max_refused=4, backoff_s=0.0, longest_backoff_s=0.0)


def row(work, number, status="success", kind=None):
    return InvocationRow(
        submitted_at=now(),
        run_id="run",
        server_round=work.server_round,
        function="client",
        client_id=work.client_id,
        attempt=number,
        status=status,
        error_kind=kind,
    )


class Scripted:
    """An invoker whose attempts end as they are told: "ok", "fail", "refused", "final", "lost", "found", or a gate."""

    function = FunctionSpec("client", memory_mb=256, timeout_s=60)

    def __init__(self, scripts):
        self.scripts = scripts
        self.asked = []

    def attempt(self, work, number, unheard):
        self.asked.append((work.client_id, number, tuple(unheard)))
        step = self.scripts[work.client_id].pop(0)
        if isinstance(step, threading.Event):
            assert step.wait(20)
            step = "ok"
        if isinstance(step, Exception):
            raise step
        if step == "ok":
            return Attempted(number, row(work, number), Success(number))
        if step == "found":
            return Attempted(number, success=Success(unheard[0]))
        kind = {"final": "forbidden", "refused": "throttled"}.get(step, "application error")
        failed = row(work, number, "failed", kind)
        return Attempted(number, failed, None, kind, "why", was_refused=step == "refused", may_be_done=step == "lost")

    def unanswered(self, work, number, submitted_at):
        return row(work, number, "failed", "no answer")


@pytest.fixture
def dispatch():
    """Start scripted work, a client per script; gates still closed are opened at the end."""
    scripts, threads = [], ThreadPoolExecutor(100)

    def start(*given, in_flight=100, retries=RETRIES, **more):
        scripts.extend(list(script) for script in given)
        gates.extend(step for script in given for step in script if isinstance(step, threading.Event))
        invoker = Scripted(scripts)
        late = []
        made = Dispatcher(invoker, threads, retries, late.append, in_flight, **more)
        works = [ScriptedWork(1, client, 600) for client in range(len(given))]
        return made, made.start(works), late, invoker

    gates = []
    yield start
    for gate in gates:
        gate.set()
    threads.shutdown()


def statuses(task):
    return [(number, row.status, row.error_kind) for number, row in task.rows.items()]


def test_work_is_tried_until_it_succeeds_and_every_attempt_is_a_row(dispatch):
    made, (task,), _, _ = dispatch(["fail", "refused", "ok"])
    assert made.next() is task
    assert task.success.attempt == 3
    assert statuses(task) == [(1, "failed", "application error"), (2, "failed", "throttled"), (3, "success", None)]


@pytest.mark.parametrize(
    ("script", "attempts"), [(["fail"] * 9, 3), (["refused"] * 9, 4), (["fail", "refused"] * 9, 5), (["final"] * 9, 1)]
)
def test_work_fails_for_good_after_so_many_attempts_that_ran_or_were_turned_away(dispatch, script, attempts):
    made, (task,), _, _ = dispatch(script)
    assert made.next() is task
    assert (task.success, len(task.rows)) == (None, attempts)
    assert task.error.startswith(f"round 1: the client function of client 0 failed in {attempts} attempts, at last")


def test_an_earlier_attempt_that_turns_up_counts_and_its_row_says_what_had_happened(dispatch):
    made, (task,), _, invoker = dispatch(["lost", "found"])
    assert made.next() is task
    assert invoker.asked == [(0, 1, ()), (0, 2, (1,))]
    assert statuses(task) == [(1, "success", "application error")]
    assert task.rows[1].num_examples == 600


def test_no_more_than_so_many_are_out_at_once_and_the_next_goes_as_one_ends(dispatch):
    gates = [threading.Event() for _ in range(3)]
    made, tasks, _, invoker = dispatch(*([gate] for gate in gates), in_flight=2)
    gates[0].set()
    assert made.next() is tasks[0]
    gates[1].set()
    gates[2].set()
    assert {made.next(), made.next()} == set(tasks[1:])
    assert [client for client, _, _ in invoker.asked][2] == 2


def test_while_one_rests_others_are_heard(dispatch):
    made, tasks, _, _ = dispatch(["fail", "ok"], ["ok"], retries=RESTFUL)
    assert made.next() is tasks[1]
    assert made.next(until=now()) is None


def test_waiting_ends_at_the_moment_that_was_asked_for(dispatch):
    made, _, _, _ = dispatch([threading.Event()])
    assert made.next(until=now() + 0.01) is None


def test_what_is_left_behind_is_told_once_when_its_answer_comes_and_is_never_tried_again(dispatch):
    slow, quick = threading.Event(), threading.Event()
    made, tasks, late, invoker = dispatch([slow], [quick], ["unsent"], in_flight=2)
    quick.set()
    time.sleep(0.1)  # it has been answered, and nobody has looked yet
    left = made.leave()
    assert (left.out, [row.client_id for row in left.answered], late) == (2, [1], [])
    slow.set()
    made.see_off(20)
    assert [(row.client_id, row.status) for row in late] == [(0, "success")]
    assert [task.success for task in tasks] == [None, None, None]
    assert sorted(client for client, _, _ in invoker.asked) == [0, 1]


def test_what_rests_when_it_is_left_is_not_tried_again(dispatch):
    made, _, late, invoker = dispatch(["fail", "ok"], retries=Retries(backoff_s=0.01))
    while not invoker.asked:
        made.next(until=now())
    made.next(until=now() + 0.001)
    assert made.leave().out == 0
    assert made.next(until=now() + 0.1) is None
    assert (len(invoker.asked), late) == (1, [])


def test_the_next_work_hears_of_earlier_stragglers_on_the_way(dispatch):
    gate = threading.Event()
    made, tasks, late, invoker = dispatch([gate], ["ok"])
    assert made.next() is tasks[1]
    assert made.leave().out == 1
    invoker.scripts[1:] = [["ok"]]
    gate.set()
    while not late:
        (task,) = made.start([tasks[1].work])
        assert made.next() is task
        invoker.scripts[1:] = [["ok"]]
    assert [row.client_id for row in late] == [0]


def test_a_straggler_that_is_never_heard_of_is_written_down_and_holds_nothing_up(dispatch):
    gate = threading.Event()
    made, _, late, _ = dispatch([gate])
    made.leave()
    made.see_off(0.01)
    assert [(row.client_id, row.attempt, row.error_kind) for row in late] == [(0, 1, "no answer")]
    gate.set()
    assert made.next(until=now() + 0.05) is None
    assert len(late) == 1


def test_a_corrupt_update_fails_its_attempt_and_is_not_found_again(dispatch):
    made, (task,), _, invoker = dispatch(["lost", "found", "ok"])
    assert made.next() is task
    made.refuse(task, "NaN")
    assert made.next() is task
    assert invoker.asked[-1] == (0, 2, ())  # the corrupt attempt is not looked for any more
    assert statuses(task) == [(1, "failed", "corrupt update"), (2, "success", None)]


def test_corrupt_updates_use_up_the_attempts(dispatch):
    made, (task,), _, _ = dispatch(["ok"] * 9)
    for _ in range(3):
        assert task.error is None
        assert made.next() is task
        made.refuse(task, "NaN")
    assert task.error.endswith("failed in 3 attempts, at last with corrupt update: NaN")
    assert {row.error_kind for row in task.rows.values()} == {"corrupt update"}


def test_an_error_of_our_own_is_raised_where_the_keeper_waits(dispatch):
    made, _, _, _ = dispatch([KeyError("ours")])
    with pytest.raises(KeyError, match="ours"):
        made.next()


def test_an_attempt_without_end_is_given_up_written_down_and_tried_again(dispatch):
    gate = threading.Event()
    made, (task,), late, invoker = dispatch([gate, "ok"], within_s=0.2)
    assert made.next(until=now() + 20) is task
    assert invoker.asked == [(0, 1, ()), (0, 2, (1,))]
    assert statuses(task) == [(1, "failed", "no answer"), (2, "success", None)]
    gate.set()
    assert made.next(until=now() + 0.1) is None  # the first one's answer comes now, and changes nothing
    assert (statuses(task)[0], task.success.attempt, late) == ((1, "failed", "no answer"), 2, [])


def test_work_that_never_ends_fails_for_good_and_the_error_says_what_to_do(dispatch):
    gates = [threading.Event() for _ in range(3)]
    made, (task,), _, _ = dispatch(gates, within_s=0.1)
    assert made.next(until=now() + 20) is task
    assert "in 3 attempts, at last with no answer: nothing came back within 0.1 s" in task.error
    assert "start the run again" in task.error
    assert {row.error_kind for row in task.rows.values()} == {"no answer"}


def test_an_error_of_an_attempt_that_was_given_up_ends_nothing(dispatch):
    class Late(threading.Event):
        def wait(self, timeout=None):
            super().wait(timeout)
            raise KeyError("late")

    gate = Late()
    made, (task,), _, _ = dispatch([gate, "ok"], within_s=0.1)
    assert made.next(until=now() + 20) is task
    gate.set()
    assert made.next(until=now() + 0.1) is None


def test_a_straggler_whose_earlier_attempt_was_given_up_has_one_row_of_each(dispatch):
    first, second = threading.Event(), threading.Event()
    made, (task,), late, _ = dispatch([first, second], within_s=0.2)
    assert made.next(until=now() + 0.3) is None
    first.set()
    time.sleep(0.05)
    assert (made.leave().out, late) == (1, [])
    second.set()
    made.see_off(20)
    assert [(row.attempt, row.status) for row in (*task.rows.values(), *late)] == [(1, "failed"), (2, "success")]
