"""``__main__.py`` of the aggregator function on OpenFaaS: the watchdog starts it as ``fprocess``."""

from __future__ import annotations

from typing import Any

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions.aggregator import Aggregator
from serverless.functions.openfaas import server

AGGREGATOR = Aggregator(WorkerProcess(ready_at=now()))


def main(params: Any) -> dict[str, Any]:
    """Answer one request."""
    return AGGREGATOR.handle(params)


if __name__ == "__main__":
    server.serve(main)
