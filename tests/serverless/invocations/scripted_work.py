"""A piece of work that behaves as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metrics.collect.probe import Probe
from serverless.functions.messages import Measured


@dataclass(frozen=True)
class ScriptedWork:
    """A :class:`serverless.invocations.work.Work` made of functions."""

    server_round: int
    client_id: int | None
    num_examples: int
    params: Callable[[int], Any] = lambda attempt: {}
    read: Callable[[object], Any] = lambda result: Measured(bytes_in=1, bytes_out=1, work=Probe().report())
    found: Callable[[int], Any] = lambda attempt: None
