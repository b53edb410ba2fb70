"""What goes wrong on the wire, and when: frozen schedules, so that a bad day can be had again."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["status", "drop", "hang", "slow", "accept", "refuse", "gone", "partner", "truncate", "corrupt"]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with one request.

    Parameters
    ----------
    kind
        ``status``: ``status`` and ``body`` are the answer. ``drop``: the connection is reset. ``hang``: no answer
        comes. ``slow``: forwarded ``seconds`` later. ``accept``: a blocking invocation is forwarded as a non-blocking
        one, so that the platform answers 202. ``refuse``: answered, and then the port is closed for ``seconds``.
        ``gone``: the port is closed for ``seconds`` and every connection is reset, this one too. ``partner``: the port
        of the proxy's partner is closed for ``seconds`` before this request is forwarded. ``truncate``, ``corrupt``:
        half of the answer comes, or one byte of it is another; with ``side="request"``, of the request.
    after
        ``status``, ``drop``, ``hang``: only after the request was forwarded and has been answered.
    """

    kind: Kind
    after: bool = False
    status: int = 503
    body: str = ""
    seconds: float = 0.0
    side: Literal["request", "answer"] = "answer"

    @property
    def label(self) -> str:
        """A short name for logs."""
        return str(self.status) if self.kind == "status" else self.kind


@dataclass(frozen=True)
class Step:
    """A fault for some of the requests that match.

    Parameters
    ----------
    request
        Regular expression, searched in ``VERB path?query``.
    first, count
        Which of the matching requests, counted from 1, and how many from there on.
    rate, seed
        Instead of those: the share of the matching requests; which ones is a function of ``seed``.
    """

    request: str
    fault: Fault
    first: int = 1
    count: int = 1
    rate: float | None = None
    seed: int = 0

    def hits(self, number: int) -> bool:
        """Whether the matching request with this number, counted from 1, goes wrong."""
        if self.rate is None:
            return self.first <= number < self.first + self.count
        return random.Random(f"{self.seed}/{self.request}/{self.fault.kind}/{number}").random() < self.rate


@dataclass
class Schedule:
    """Steps, and how many requests have matched each so far."""

    steps: tuple[Step, ...] = ()
    _seen: Counter[int] = field(default_factory=Counter)

    def next(self, verb: str, path: str) -> Fault | None:
        """Count a request, and return what goes wrong with it; the first step that says so decides."""
        found = None
        for place, step in enumerate(self.steps):
            if re.search(step.request, f"{verb} {path}"):
                self._seen[place] += 1
                if found is None and step.hits(self._seen[place]):
                    found = step.fault
        return found
