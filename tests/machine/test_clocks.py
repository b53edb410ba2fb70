"""Moments of different processes can be compared, and a process's birth is known to 10 ms."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from machine import clocks
from machine.clocks import now, process_started_at


def test_now_is_the_epoch_and_never_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert now() == pytest.approx(time.time(), abs=1.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # somebody sets the wall clock back
    first = now()
    assert first > 1e9
    assert now() >= first


def in_a_child(code: str) -> str:
    command = [sys.executable, "-c", f"import time; {code}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_processes_of_a_run_have_one_clock_though_the_wall_clock_steps_between_their_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(clocks.VARIABLE, "")
    clocks.begin()
    before = now()
    said = in_a_child("time.time = lambda: 0.0; from machine import clocks; print(clocks.now(), clocks.name())")
    moment, name = said.split()
    assert before <= float(moment) <= now()
    assert name == clocks.name()


def test_a_new_run_sets_its_clock_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clocks.VARIABLE, "")
    clocks.begin()
    first = clocks.name()
    monkeypatch.setattr(time, "time", lambda: 5e8)
    clocks.begin()
    assert now() == pytest.approx(5e8, abs=1.0)
    assert clocks.name() != first
    assert clocks.now_by(first) == pytest.approx(
        now() + float(first.rpartition(":")[2]) - 5e8 + time.monotonic(), abs=1
    )
    monkeypatch.undo()
    clocks.begin()


def test_the_clock_of_another_boot_is_no_clock_here() -> None:
    assert clocks.now_by("0f0e:1.5") is None
    assert clocks.now_by("") is None
    said = in_a_child(
        f"import os; os.environ['{clocks.VARIABLE}'] = 'x:0'; from machine import clocks; print(clocks.now())"
    )
    assert float(said) == pytest.approx(time.time(), abs=5.0)


def test_the_birth_of_a_child_lies_between_the_moments_around_its_start() -> None:
    before = now()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        after = now()
        born = process_started_at(child.pid)
        child.communicate(b"\n")
    assert before - 0.02 <= born <= after + 0.02


def test_a_process_name_with_spaces_and_brackets_is_read() -> None:
    script = "import threading; open('/proc/self/comm', 'w').write('a) S (b'); print(flush=True); input()"
    before = now()
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        born = process_started_at(child.pid)
        child.communicate(b"\n")
    assert before - 0.02 <= born <= now()


def test_a_process_that_is_gone_is_an_os_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(OSError, match=str(child.pid)):
        process_started_at(child.pid)
