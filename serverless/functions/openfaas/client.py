"""``__main__.py`` of the client function on OpenFaaS: the watchdog starts it as ``fprocess``."""

from __future__ import annotations

from typing import Any

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions import client
from serverless.functions.openfaas import server

WORKER = WorkerProcess(ready_at=now())


def main(params: Any) -> dict[str, Any]:
    """Answer one request."""
    return client.handle(params, WORKER)


if __name__ == "__main__":
    server.serve(main)
