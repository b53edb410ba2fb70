"""Faults at random, for a soak: a seed decides which requests and which attempts go wrong."""

from __future__ import annotations

from typing import Any

from tests.faults.cases import BUSY, CLIENT, FULL, GATEWAY, NO_RECORD, RECORD, SLOW_DOWN
from tests.faults.plan import Fault, Step

INVOKE = r"POST .*/actions/"
OBJECT = r"(GET|PUT) .*X-Amz-Signature"
_PLATFORM = (
    (INVOKE, Fault("drop"), 0.01),
    (INVOKE, Fault("drop", after=True), 0.02),
    (INVOKE, Fault("status", status=429, body=BUSY), 0.03),
    (INVOKE, Fault("status", status=502, body=GATEWAY, after=True), 0.01),
    (INVOKE, Fault("status", status=503), 0.02),
    (INVOKE, Fault("accept"), 0.05),
    (INVOKE, Fault("truncate"), 0.01),
    (CLIENT, Fault("hang", after=True), 0.003),
    (RECORD, Fault("status", status=404, body=NO_RECORD), 0.2),
    (INVOKE, Fault("refuse", seconds=1.0), 0.005),
)
_STORE = (
    (OBJECT, Fault("status", status=503, body=SLOW_DOWN), 0.02),
    (OBJECT, Fault("status", status=507, body=FULL), 0.01),
    (OBJECT, Fault("slow", seconds=0.5), 0.01),
    (OBJECT, Fault("drop"), 0.01),
    (OBJECT, Fault("truncate"), 0.01),
    (OBJECT, Fault("corrupt"), 0.01),
    (OBJECT, Fault("corrupt", side="request"), 0.01),
    (OBJECT, Fault("gone", seconds=2.0), 0.002),
)
_FUNCTION = {
    "raises": 0.02,
    "rubbish": 0.01,
    "text": 0.01,
    "nan": 0.01,
    "wrong_shapes": 0.01,
    "truncated": 0.01,
    "nothing_stored": 0.01,
    "exits": 0.005,
    "memory": 0.002,
    "slow": 0.01,
    "hangs": 0.001,
}


def platform_steps(seed: int, more_often: float = 1.0) -> tuple[Step, ...]:
    """Return what goes wrong in front of the platform."""
    return _steps(_PLATFORM, seed, more_often)


def store_steps(seed: int, more_often: float = 1.0) -> tuple[Step, ...]:
    """Return what goes wrong in front of the object store."""
    return _steps(_STORE, seed, more_often)


def function_rates(seed: int, more_often: float = 1.0) -> list[dict[str, Any]]:
    """Return the plan of the client function: the share of attempts that go wrong, by kind."""
    return [{"seed": seed, "rates": {kind: more_often * rate for kind, rate in _FUNCTION.items()}}]


def _steps(rates: tuple[tuple[str, Fault, float], ...], seed: int, more_often: float) -> tuple[Step, ...]:
    return tuple(
        Step(request, fault, rate=more_often * rate, seed=seed + place)
        for place, (request, fault, rate) in enumerate(rates)
    )
