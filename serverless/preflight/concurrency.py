"""How many functions really run at once: what the pool's memory allows, which no API tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from serverless.platforms.protocol import FunctionSpec, Invocation
from serverless.preflight.findings import Finding, failed, ok, warning
from serverless.preflight.probe import Probe

POOL = "pool"
_BUSY_S = 2.0


def crowd(probe: Probe, function: FunctionSpec, wanted: int, spare: int = 0) -> Finding:
    """Have so many invocations keep a container busy at once, and see how many there were.

    They are sent a second time, into warm containers, if cold starts kept some from meeting the others.

    Parameters
    ----------
    wanted
        How many work at once in a run.
    spare
        How many more there should be room for: see :func:`spare_for`.
    """
    sent = wanted + spare
    seen = 0
    for _ in range(2):
        invocations = _at_once(probe, function, sent)
        refused = Counter(f"{i.error_kind}: {i.error}" for i in invocations if i.error_kind)
        if refused:
            ((words, count),) = refused.most_common(1)
            advice = "raise the deployment's limits of invocations at once and a minute, or lower platform.in_flight"
            return failed(POOL, f"{count} of {sent} invocations at once end with {words}", advice)
        answers = [invocation.result for invocation in invocations if invocation.result]
        seen = max(seen, most_at_once([(answer["started_at"], answer["ended_at"]) for answer in answers]))
        if seen >= sent:
            return ok(POOL, f"{sent} functions of {function.memory_mb} MB ran at once")
    advice = (
        f"give the platform's pool {sent} x {function.memory_mb} MB (whisk.containerPool.userMemory of the Helm "
        "chart, per invoker; platform.pool_memory_mb of the embedded server), or lower platform.in_flight"
    )
    found = f"{seen} of {sent} functions of {function.memory_mb} MB ran at once: the others wait"
    if seen >= wanted:
        found = (
            f"{found}. Only {wanted} work at once, but a container is busy for a moment after its answer: "
            "the next call then starts another one, and a container that is waiting for work is ended"
        )
    return warning(POOL, found, advice)


def spare_for(wanted: int, *, allowed_at_once: int | None) -> int:
    """Return for how many containers a pool should have room beside those at work, as far as so many may be tried.

    OpenWhisk keeps a container busy after its answer until its logs are collected, so that the next call needs another
    one; and the aggregator has one.
    """
    return wanted + 1 if allowed_at_once is None else max(0, min(wanted + 1, allowed_at_once - wanted))


def _at_once(probe: Probe, function: FunctionSpec, count: int) -> list[Invocation]:
    with ThreadPoolExecutor(count, "preflight") as threads:
        futures = [threads.submit(probe.invoke, function, sleep_s=_BUSY_S) for _ in range(count)]
        return [future.result() for future in futures]


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """Return how many of the spans (start, end) overlap at the busiest moment; touching ends do not."""
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most
