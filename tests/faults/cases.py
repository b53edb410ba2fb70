"""The faults of the matrix: what is made to go wrong, and where."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.plan import Fault, Step

CLIENT = r"POST .*/actions/client\?"
AGGREGATOR = r"POST .*/actions/aggregator\?"
RECORD = r"GET .*/activations/"
UPDATE = r"PUT .*/updates/.*client-00001-attempt-1\."
WEIGHTS = r"GET .*/weights/.*X-Amz-Signature"
BUSY = '{"error":"Too many requests in the last minute (count: 61, allowed: 60).","code":"x"}'
GATEWAY = "<html><body>502 Bad Gateway</body></html>"
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
FULL = "<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum.</Message></Error>"


@dataclass(frozen=True)
class Case:
    """One fault.

    Parameters
    ----------
    name
        In the table.
    platform, store
        What goes wrong in front of them.
    function
        What client 1 does in its first attempt of round 1.
    directory
        Whether the object store is a directory instead of MinIO.
    away_s
        How long the whole store is away, from the moment at which the first client is invoked.
    """

    name: str
    platform: tuple[Step, ...] = ()
    store: tuple[Step, ...] = ()
    function: str | None = None
    directory: bool = False
    away_s: float = 0.0


def _platform(name: str, request: str, fault: Fault, first: int = 1, count: int = 1) -> Case:
    return Case(name, platform=(Step(request, fault, first, count),))


def _store(name: str, request: str, fault: Fault, first: int = 1, count: int = 1) -> Case:
    return Case(name, store=(Step(request, fault, first, count),))


CASES: tuple[Case, ...] = (
    _store("platform refuses connections for 1.5 s", "PUT .*/weights/round-00000", Fault("partner", seconds=1.5)),
    _platform("connection dropped before the function ran", CLIENT, Fault("drop"), first=2),
    _platform("connection dropped after the function ran", CLIENT, Fault("drop", after=True), first=2),
    _platform("429", CLIENT, Fault("status", status=429, body=BUSY), count=3),
    _platform("502 instead of running", CLIENT, Fault("status", status=502, body=GATEWAY)),
    _platform("502 after the function ran", CLIENT, Fault("status", status=502, body=GATEWAY, after=True)),
    _platform("503 instead of running", CLIENT, Fault("status", status=503), count=2),
    _platform("503 after the function ran", CLIENT, Fault("status", status=503, after=True)),
    _platform("blocking call becomes 202", CLIENT, Fault("accept"), count=3),
    Case(
        "202, and the record stays 404 for a while",
        platform=(
            Step(CLIENT, Fault("accept")),
            Step(
                RECORD, Fault("status", status=404, body='{"error":"The requested resource does not exist."}'), count=5
            ),
        ),
    ),
    _platform("answer truncated", CLIENT, Fault("truncate")),
    _platform("answer damaged", CLIENT, Fault("corrupt")),
    _platform("no answer, ever, after the function ran", CLIENT, Fault("hang", after=True)),
    _platform("aggregator: dropped after it ran", AGGREGATOR, Fault("drop", after=True)),
    _platform("aggregator: 503 instead of running", AGGREGATOR, Fault("status", status=503)),
    _platform("aggregator: 202", AGGREGATOR, Fault("accept")),
    Case("function times out", function="hangs"),
    Case("function is killed for memory", function="memory"),
    Case("function's process exits", function="exits"),
    Case("function raises", function="raises"),
    Case("function returns no object", function="text"),
    Case("function returns rubbish", function="rubbish"),
    Case("update has wrong shapes", function="wrong_shapes"),
    Case("update is not a number", function="nan"),
    Case("update is truncated", function="truncated"),
    Case("update is missing", function="nothing_stored"),
    Case("client is slow", function="slow"),
    _store("store is slow", UPDATE, Fault("slow", seconds=1.5)),
    _store("store is busy (503)", r"(GET|PUT) .*X-Amz-Signature", Fault("status", status=503, body=SLOW_DOWN), count=4),
    _store("store is full (507)", r"PUT .*X-Amz-Signature", Fault("status", status=507, body=FULL), count=4),
    _store("store is gone for 10 s", WEIGHTS, Fault("gone", seconds=10.0)),
    _store("object truncated on its way to a function", WEIGHTS, Fault("truncate"), count=2),
    _store("object damaged on its way to a function", WEIGHTS, Fault("corrupt"), count=2),
    _store("update truncated on its way to the store", UPDATE, Fault("truncate", side="request")),
    _store("update damaged on its way to the store", UPDATE, Fault("corrupt", side="request")),
    Case("directory: drive is full for a moment", function="full", directory=True),
    Case("directory: gone for 3 s", directory=True, away_s=3.0),
)
