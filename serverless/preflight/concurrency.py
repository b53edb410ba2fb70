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


def crowd(probe: Probe, function: FunctionSpec, wanted: int) -> Finding:
    """Have so many invocations keep a container busy at once, and see how many there were.

    They are sent a second time, into warm containers, if cold starts kept some from meeting the others.
    """
    seen = 0
    for _ in range(2):
        invocations = _at_once(probe, function, wanted)
        refused = Counter(f"{i.error_kind}: {i.error}" for i in invocations if i.error_kind)
        if refused:
            ((words, count),) = refused.most_common(1)
            advice = "raise the deployment's limits of invocations at once and a minute, or lower platform.in_flight"
            return failed(POOL, f"{count} of {wanted} invocations at once end with {words}", advice)
        answers = [invocation.result for invocation in invocations if invocation.result]
        seen = max(seen, most_at_once([(answer["started_at"], answer["ended_at"]) for answer in answers]))
        if seen >= wanted:
            return ok(POOL, f"{wanted} functions of {function.memory_mb} MB ran at once")
    advice = (
        f"give the platform's pool {wanted} x {function.memory_mb} MB (whisk.containerPool.userMemory of the Helm "
        "chart, per invoker; platform.pool_memory_mb of the embedded server), or lower platform.in_flight"
    )
    found = f"{seen} of {wanted} functions of {function.memory_mb} MB ran at once: the others wait"
    return warning(POOL, found, advice)


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
