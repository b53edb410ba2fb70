"""``__main__.py`` of the aggregator function on OpenWhisk: the platform calls :func:`main`."""

from __future__ import annotations

from typing import Any

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions.aggregator import Aggregator
from serverless.functions.openwhisk.answers import named

AGGREGATOR = Aggregator(WorkerProcess(ready_at=now()))


def main(args: Any) -> dict[str, Any]:
    """Run one activation."""
    return named(args, AGGREGATOR.handle(args))
