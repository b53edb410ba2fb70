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
NO_RECORD = '{"error":"The requested resource does not exist."}'
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
        How long the folder of the directory is away, after the first round.
    timeout_s
        Of the client function, if it is another than usual.
    kinds
        What ``invocations.error_kind`` says of it, at least, where all clients are waited for.
    once
        Whether all work is done in first attempts: it is not done again although its answer was lost or late.
    """

    name: str
    platform: tuple[Step, ...] = ()
    store: tuple[Step, ...] = ()
    function: str | None = None
    directory: bool = False
    away_s: float = 0.0
    timeout_s: float | None = None
    kinds: tuple[str, ...] = ()
    once: bool = False


def _platform(
    name: str, request: str, fault: Fault, kind: str, first: int = 1, count: int = 1, *, once: bool = False
) -> Case:
    return Case(name, platform=(Step(request, fault, first, count),), kinds=(kind,), once=once)


def _store(name: str, request: str, fault: Fault, *kinds: str, first: int = 1, count: int = 1) -> Case:
    return Case(name, store=(Step(request, fault, first, count),), kinds=kinds, once=not kinds)


def _function(name: str, does: str, kind: str, **more: float) -> Case:
    return Case(name, function=does, kinds=(kind,), **more)


CASES: tuple[Case, ...] = (
    _store(
        "platform refuses connections for 1.5 s",
        "PUT .*/weights/round-00000",
        Fault("partner", seconds=1.5),
        "unreachable",
    ),
    _platform("connection dropped before the function ran", CLIENT, Fault("drop"), "no answer", first=2),
    _platform(
        "connection dropped after the function ran", CLIENT, Fault("drop", after=True), "no answer", first=2, once=True
    ),
    _platform("429", CLIENT, Fault("status", status=429, body=BUSY), "throttled", count=3),
    _platform("502 instead of running", CLIENT, Fault("status", status=502, body=GATEWAY), "HTTP 502"),
    _platform(
        "502 after the function ran",
        CLIENT,
        Fault("status", status=502, body=GATEWAY, after=True),
        "HTTP 502",
        once=True,
    ),
    _platform("503 instead of running", CLIENT, Fault("status", status=503), "HTTP 503", count=2),
    _platform("503 after the function ran", CLIENT, Fault("status", status=503, after=True), "HTTP 503", once=True),
    _platform("blocking call becomes 202", CLIENT, Fault("accept"), "answered later", count=3, once=True),
    Case(
        "202, and the record stays 404 for a while",
        platform=(
            Step(CLIENT, Fault("accept")),
            Step(RECORD, Fault("status", status=404, body=NO_RECORD), count=5),
        ),
        kinds=("answered later",),
        once=True,
    ),
    _platform("answer truncated", CLIENT, Fault("truncate"), "no answer", once=True),
    _platform("answer damaged", CLIENT, Fault("corrupt"), "HTTP 200", once=True),
    _platform("no answer, ever, after the function ran", CLIENT, Fault("hang", after=True), "no answer", once=True),
    _platform("aggregator: dropped after it ran", AGGREGATOR, Fault("drop", after=True), "no answer", once=True),
    _platform("aggregator: 503 instead of running", AGGREGATOR, Fault("status", status=503), "HTTP 503"),
    _platform("aggregator: 202", AGGREGATOR, Fault("accept"), "answered later", once=True),
    _function("function times out", "hangs", "timed out", timeout_s=4.0),
    _function("function is killed for memory", "memory", "action developer error"),
    _function("function's process exits", "exits", "action developer error"),
    _function("function raises", "raises", "application error"),
    _function("function returns no object", "text", "action developer error"),
    _function("function returns rubbish", "rubbish", "rubbish answer"),
    _function("update has wrong shapes", "wrong_shapes", "corrupt update"),
    _function("update is not a number", "nan", "corrupt update"),
    _function("update is truncated", "truncated", "corrupt update"),
    _function("update is missing", "nothing_stored", "corrupt update"),
    Case("client is slow", function="slow", once=True),
    _store("store is slow", UPDATE, Fault("slow", seconds=1.5)),
    _store("store is busy (503)", r"(GET|PUT) .*X-Amz-Signature", Fault("status", status=503, body=SLOW_DOWN), count=4),
    _store("store is full (507)", r"PUT .*X-Amz-Signature", Fault("status", status=507, body=FULL), count=4),
    _store("store is gone for 10 s", WEIGHTS, Fault("gone", seconds=10.0)),
    _store("object truncated on its way to a function", WEIGHTS, Fault("truncate"), count=2),
    _store("object damaged on its way to a function", WEIGHTS, Fault("corrupt"), count=2),
    # a function reads four times, each until two answers are alike: of 3 clients, at least one gets only damaged ones
    _store("object damaged alike time after time", WEIGHTS, Fault("corrupt"), "application error", count=22),
    _store("update truncated on its way to the store", UPDATE, Fault("truncate", side="request")),
    _store("update damaged on its way to the store", UPDATE, Fault("corrupt", side="request")),
    _store("keeper: store is full (507)", r"PUT .*/data/[^?]*$", Fault("status", status=507, body=FULL), count=3),
    _store("keeper: store is gone for 2 s", r"PUT .*/data/[^?]*$", Fault("gone", seconds=2.0), first=2),
    _store("keeper: weights truncated on their way", r"GET .*/weights/[^?]*$", Fault("truncate")),
    _store("keeper: weights damaged on their way", r"GET .*/weights/[^?]*$", Fault("corrupt")),
    Case("directory: drive is full for a moment", function="full", directory=True, once=True),
    Case("directory: gone for 2 s", directory=True, away_s=2.0, once=True),
)
