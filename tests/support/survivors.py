"""A watch on processes that should be gone when a test ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import psutil
import pytest


@pytest.fixture
def nothing_survives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Mark every process that the test starts, and assert at the end, or when called, that none is left."""
    mark = f"FL_TEST_MARK_{os.getpid()}_{time.monotonic_ns()}"
    monkeypatch.setenv(mark, "1")

    def check() -> None:
        end = time.monotonic() + 20
        while (left := marked(mark)) and time.monotonic() < end:
            time.sleep(0.05)
        said = [f"{process.pid} {' '.join(process.cmdline())}" for process in left]
        for process in left:
            process.kill()
        assert said == []

    yield check
    check()


def marked(mark: str) -> list[psutil.Process]:
    """Return the living processes, but this one, that carry a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
            if alive and mark in process.environ():
                found.append(process)
        except psutil.Error:
            continue
    return found


def assert_ends(process: psutil.Process) -> None:
    """Check that a process ends within ten seconds, also where nobody reaps it; end it if it does not."""
    try:
        gone, _ = psutil.wait_procs([process], timeout=10)
        assert gone == [process] or process.status() == psutil.STATUS_ZOMBIE
    finally:
        if process.is_running():
            process.kill()
