"""A piece of work that behaves as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ScriptedWork:
    """A :class:`serverless.invocations.work.Work` made of functions."""

    server_round: int
    client_id: int | None
    num_examples: int
    params: Callable[[int], Any] = lambda attempt: {}
    read: Callable[[object], Any] = lambda result: None
    found: Callable[[int], Any] = lambda attempt: None
