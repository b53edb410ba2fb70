"""What a test may start follows from its marks: a test without a mark starts no server and never imports TensorFlow.

The marks are described in ``pyproject.toml``, the tiers in the ``Makefile``. A test that starts something else than its
marks say fails, also where the code under test catches the error. Python's audit events are used, because they also
cover what libraries and threads do. A child process is judged by its command line alone.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pytest

SERVERS = ("serverless.emulator", "action_proxy.py", "flower-superlink", "minio", "juicefs", "postgres")
RUNS = ("experiments.run", "experiments.runs.child", "flower-simulation", "flwr-simulation")
TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

Function = TypeVar("Function", bound=Callable[..., Any])


def starts(*marks: str) -> Callable[[Function], Function]:
    """Say what a fixture starts: each test that uses it, directly or not, gets these marks."""

    def note(function: Function) -> Function:
        function.__dict__["starts"] = marks
        return function

    return note


def marks_of_fixtures(item: pytest.Item) -> Iterator[str]:
    """Yield the marks that a test gets from its fixtures."""
    known = getattr(item, "_fixtureinfo", None)
    for definitions in known.name2fixturedefs.values() if known else ():
        yield from getattr(definitions[-1].func, "starts", ())


class UnmarkedStartError(AssertionError):
    """A test started something that its marks do not say."""


class TierGuard:
    """Watches what the process starts, from now until it ends: an audit hook cannot be removed.

    Parameters
    ----------
    allowed
        The marks of the test that is running. While modules are collected, no test is running and nothing is allowed.
    """

    def __init__(self) -> None:
        self.allowed: frozenset[str] = frozenset()
        self._found: list[str] = []
        sys.addaudithook(self._watch)

    def forget(self) -> None:
        """Start a new test: what another one did is not its own."""
        self._found.clear()

    def check(self) -> None:
        """Fail if something was started although the marks do not allow it.

        Raises
        ------
        UnmarkedStartError
            With a sentence for each start.
        """
        found, self._found = self._found, []
        if found:
            raise UnmarkedStartError("; ".join(dict.fromkeys(found)))

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import" and arguments[0] == "tensorflow":
            self._need("training", "imports TensorFlow")
        elif event == "socket.bind" and _is_tcp(arguments[0]):
            self._need("server", f"binds a TCP socket to {arguments[1]}")
        elif event == "subprocess.Popen":
            command = _words(arguments[1])
            for mark, programs in (("server", SERVERS), ("training", RUNS)):
                if any(_names(word, program) for word in command for program in programs):
                    self._need(mark, f"starts {' '.join(command)[:100]!r}")

    def _need(self, mark: str, what: str) -> None:
        if mark in self.allowed:
            return
        said = f"a test without the mark {mark!r} {what}"
        self._found.append(said)
        raise UnmarkedStartError(said)


def _is_tcp(bound: socket.socket) -> bool:
    return bound.family in TCP_FAMILIES and bound.type == socket.SOCK_STREAM


def _words(command: Any) -> list[str]:
    is_list = isinstance(command, Sequence) and not isinstance(command, str | bytes)
    return [str(word) for word in command] if is_list else str(command).split()


def _names(word: str, program: str) -> bool:
    return word == program or word.endswith(f"/{program}")
