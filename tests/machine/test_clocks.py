"""Moments of different processes can be compared, and a process's birth is known to 10 ms."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from machine.clocks import now, process_started_at


def test_now_is_the_epoch_and_never_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert now() == pytest.approx(time.time(), abs=1.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # somebody sets the wall clock back
    first = now()
    assert first > 1e9
    assert now() >= first


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
