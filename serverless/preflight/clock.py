"""Whether the clocks agree: ours, the functions', the platform's and the store's.

A clock that is read between two moments of ours, ``before`` and ``after``, as ``read`` is ahead of ours by something
from ``read - after`` to ``read - before``. Several reads narrow that down.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from machine.clocks import now
from machine.json_values import is_number
from metrics.collect.units import seconds
from serverless.platforms.http_api import json_of
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.platforms.protocol import FunctionSpec
from serverless.preflight.connection import ask
from serverless.preflight.findings import Finding, failed, ok, warning
from serverless.preflight.probe import Probe
from serverless.storage import MinioSettings

_READS = 5
_WARN_S = 0.5  # nothing is subtracted between machines, but logs of both are hard to compare then
_REFUSED_S = 900.0  # S3 refuses what was signed more than 15 minutes ago, or ahead, by its own clock
_TICK_S = 0.001  # of a record's times


@dataclass(frozen=True)
class Ahead:
    """By how many seconds a clock is ahead of ours: from ``low`` to ``high``."""

    low: float
    high: float

    @property
    def at_least_s(self) -> float:
        """How far it is off at the least, ahead or behind."""
        return max(self.low, -self.high, 0.0)


def narrowed(bounds: Iterable[Ahead]) -> Ahead:
    """Return what all the bounds allow; where they contradict each other, because a clock was set, the widest."""
    bounds = list(bounds)
    low, high = max(b.low for b in bounds), min(b.high for b in bounds)
    return Ahead(low, high) if low <= high else Ahead(min(b.low for b in bounds), max(b.high for b in bounds))


def judge(whose: str, ahead: Ahead) -> Finding:
    """Return what a clock's difference means."""
    check, middle = f"clock, {whose}", (ahead.low + ahead.high) / 2
    side, doubt_s = "ahead of" if middle >= 0 else "behind", (ahead.high - ahead.low) / 2
    found = f"{seconds(abs(middle))} {side} ours, ± {seconds(doubt_s)}"
    advice = "let all machines take their time from NTP"
    if ahead.at_least_s > _REFUSED_S:
        return failed(check, f"{found}: the store would refuse every URL", advice)
    if ahead.at_least_s > _WARN_S:
        return warning(check, f"{found}: moments in the logs of both are off by as much", advice)
    return ok(check, found)


def inside(probe: Probe, function: FunctionSpec, client: OpenWhiskClient) -> list[Finding]:
    """Compare the functions' and the platform's clocks with ours, by warm invocations."""
    functions, platform = [], []
    for _ in range(_READS):
        before = now()
        invocation = probe.invoke(function)
        after = now()
        if invocation.result is None or invocation.init_s is not None:
            continue
        functions.append(Ahead(invocation.result["ended_at"] - after, invocation.result["started_at"] - before))
        record = _record(client, invocation.activation_id)
        if record is not None:
            platform.append(Ahead(record[1] - after - _TICK_S, record[0] - before + _TICK_S))
    return [_judged("functions", functions), _judged("platform", platform)]


def _judged(whose: str, bounds: list[Ahead]) -> Finding:
    if not bounds:
        return warning(f"clock, {whose}", "no warm invocation came back whole", "look at the platform's log")
    return judge(whose, narrowed(bounds))


def _record(client: OpenWhiskClient, activation_id: str | None) -> tuple[float, float] | None:
    """Return start and end of an activation, seconds since the epoch by the platform; its record may be late."""
    for _ in range(20):
        answer = client.call("GET", f"activations/{activation_id}", also=(404,))
        if answer.ok:
            record = json_of(answer)
            start, end = record.get("start"), record.get("end")
            return (start / 1000, end / 1000) if is_number(start) and is_number(end) else None
        time.sleep(0.25)
    return None


def of_store(settings: MinioSettings) -> Finding:
    """Compare the store's clock with ours, by the ``Date`` of an answer, which has whole seconds."""
    url = f"{'https' if settings.secure else 'http'}://{settings.endpoint}/"
    before = now()
    try:
        answer = ask("HEAD", url, settings.ca_file)
        after = now()
        date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError) as error:
        return warning("clock, store", f"not told ({type(error).__name__})", "look at the store's clock by hand")
    return judge("store", Ahead(date - after, date + 1 - before))
