import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from experiments.runs import supervisor as module
from experiments.runs.announcements import SetupStep, Watcher
from experiments.runs.run_files import FINAL_WEIGHTS, LOG, Outcome
from experiments.runs.run_row import judge
from experiments.runs.stop_request import StopRequest
from experiments.runs.supervisor import supervise
from machine.processes import end_descendants
from metrics.collect.row_files import read_run
from metrics.collect.row_types import RoundRow
from task import weights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_survives")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What ignores SIGTERM is killed sooner than usual."""
    monkeypatch.setattr(module, "end_descendants", partial(end_descendants, patience_s=0.3))


def round_of(event):
    return event.server_round if isinstance(event, RoundRow) else None


@pytest.fixture
def make_run(ready_run, fake_command):
    """Supervise a run whose backend behaves as told; return its folder, its row and what was announced."""

    def make(behaviour, on_event=lambda event: None):
        events = []

        def hear(event):
            events.append(event)
            on_event(event)

        with Watcher() as watcher, StopRequest() as stop:
            plan = ready_run(watcher.path)
            ended = supervise(plan.run_id, plan.directory, watcher, hear, stop, fake_command(behaviour))
        return plan.directory, judge(plan.directory, ended), events

    return make


def test_a_run_that_succeeds_leaves_its_weights_its_rounds_and_no_process(make_run, nothing_survives):
    directory, row, events = make_run("success")
    nothing_survives()
    final = weights.loads((directory / FINAL_WEIGHTS).read_bytes())
    assert (row.status, row.error, row.rounds) == ("success", None, 2)
    assert row.final_weights_sha256 == weights.sha256(final)
    assert [event for event in events if not round_of(event)] == [SetupStep("import inprocess"), SetupStep("start")]
    assert [round_of(event) for event in events] == [None, None, 1, 2]
    assert "ended what the backend had left running" in (directory / LOG).read_text()


def test_cpu_time_holds_the_work_of_every_descendant(make_run):
    _, row, _ = make_run("success")
    assert row.cpu_s > 0.5  # what the busy helper alone uses


def test_the_roles_cpu_seconds_add_up_to_those_of_the_run_though_its_processes_have_ended(make_run):
    directory, row, _ = make_run("success")
    last = {sample["role"]: sample["cpu_s"] for sample in read_run(directory, "samples").to_pylist()}
    assert sum(last.values()) == pytest.approx(row.sampled_cpu_s)
    assert row.sampled_cpu_s == pytest.approx(row.cpu_s, rel=0.05, abs=0.06)  # /proc counts in ticks of 10 ms
    assert 0 < row.sampler_cpu_s < row.cpu_s


def test_memory_is_sampled_by_role(make_run):
    directory, row, _ = make_run("success")
    roles = {sample["role"] for sample in read_run(directory, "samples").to_pylist()}
    assert "controller" in roles
    assert row.peak_total_rss_bytes > 1 << 20


def test_a_run_that_fails_says_why_and_keeps_its_rounds(make_run):
    directory, row, _ = make_run("fail")
    assert (row.status, row.error, row.rounds) == ("failed", "RuntimeError: the disk is full", 1)
    assert "Traceback" in (directory / LOG).read_text()
    assert row.best_test_accuracy == pytest.approx(0.6)


def test_a_run_that_is_killed_fails_and_its_orphans_are_ended(make_run, nothing_survives):
    directory, row, _ = make_run("killed")
    nothing_survives()
    assert (row.status, row.rounds) == ("failed", 1)
    assert "SIGKILL" in row.error
    assert Outcome.read(directory) is None
    assert row.cpu_s > 0.5


def test_a_run_that_leaves_without_a_word_fails(make_run):
    _, row, _ = make_run("exit")
    assert (row.status, row.error) == ("failed", "its process ended with code 3 and without a report of how it ended")


@pytest.mark.parametrize(("number", "after_round"), [(signal.SIGINT, 3), (signal.SIGTERM, 1)])
def test_a_signal_stops_the_run_in_good_order(make_run, number, after_round, nothing_survives):
    def on_event(event):
        if round_of(event) == after_round:
            os.kill(os.getpid(), number)

    directory, row, _ = make_run("endless", on_event)
    nothing_survives()
    assert row.status == "interrupted"
    assert "SIGTERM" in row.error  # what its process was sent
    assert row.rounds >= after_round
    assert read_run(directory, "rounds").num_rows == row.rounds


def test_a_run_that_does_not_stop_is_killed_after_a_while(make_run, monkeypatch, nothing_survives):
    monkeypatch.setattr(module, "_STOP_PATIENCE_S", 0.5)
    _, row, _ = make_run("stubborn", lambda event: round_of(event) == 2 and os.kill(os.getpid(), 15))
    nothing_survives()
    assert (row.status, row.error) == ("interrupted", "it had to be killed after it was asked to stop")


def test_a_second_signal_kills_at_once(make_run, monkeypatch):
    monkeypatch.setattr(module, "_STOP_PATIENCE_S", 600)

    def on_event(event):
        if round_of(event) in (1, 2):
            os.kill(os.getpid(), signal.SIGINT)

    _, row, _ = make_run("stubborn", on_event)
    assert row.status == "interrupted"


def test_a_signal_before_the_start_counts(ready_run, fake_command):
    with Watcher() as watcher, StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        plan = ready_run(watcher.path)
        ended = supervise(plan.run_id, plan.directory, watcher, lambda event: None, stop, fake_command("endless"))
    assert ended.stopped
    assert stop.signal_number == signal.SIGINT
    assert ended.returncode != -signal.SIGKILL  # it was asked at once, not killed when patience had run out


def test_an_error_while_drawing_does_not_leave_the_run_behind(make_run, nothing_survives):
    def on_event(event):
        raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        make_run("endless", on_event)
    nothing_survives()


def test_handlers_are_given_back_and_an_ignored_hang_up_stays_ignored():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.wanted
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_children_of_the_watching_process_are_left_alone(make_run):
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        make_run("success")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


WATCHING = """
import os, sys
from pathlib import Path
from experiments.runs.run_files import RunFile
from experiments.runs.stop_request import StopRequest
from experiments.runs.supervisor import supervise
from experiments.runs.announcements import Watcher
from dataclasses import replace
directory = Path(sys.argv[1])
with Watcher() as watcher, StopRequest() as stop:
    replace(RunFile.read(directory), watcher=watcher.path, watcher_pid=os.getpid()).write(directory)
    supervise("r", directory, watcher, lambda event: None, stop, tuple(sys.argv[2:]))
"""


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.02)


@pytest.mark.parametrize("behaviour", ["endless", "stubborn"])
def test_a_killed_watcher_takes_the_run_with_it(ready_run, fake_command, nothing_survives, behaviour):
    plan = ready_run("nowhere")
    watching = subprocess.Popen([sys.executable, "-c", WATCHING, str(plan.directory), *fake_command(behaviour)])
    wait_for(lambda: read_run(plan.directory, "rounds").num_rows >= 2)
    watching.kill()
    watching.wait()
    nothing_survives()
    row = judge(plan.directory, None)
    assert (row.status, row.cpu_s) == ("interrupted", None)
    assert row.rounds >= 2
    assert row.wall_s > 0


def test_drawing_happens_while_the_run_waits(make_run, smoke_plan):
    """A round is not begun before what the last one announced has been shown."""
    seen, threads = [], threading.active_count()

    def on_event(event):
        if isinstance(event, RoundRow):
            seen.append(event.server_round)
            time.sleep(0.3)  # a slow terminal
            assert read_run(smoke_plan.directory, "rounds").num_rows == seen[-1]

    make_run("success", on_event)
    assert seen == [1, 2]
    assert threading.active_count() == threads
