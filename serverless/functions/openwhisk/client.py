"""``__main__.py`` of the client function on OpenWhisk: the platform calls :func:`main`."""

from __future__ import annotations

from typing import Any

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions import client
from serverless.functions.openwhisk.answers import named

WORKER = WorkerProcess(ready_at=now())


def main(args: Any) -> dict[str, Any]:
    """Run one activation."""
    return named(args, client.handle(args, WORKER))
