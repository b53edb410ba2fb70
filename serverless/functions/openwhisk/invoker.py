"""``__main__.py`` of an invoker function on OpenWhisk: the platform calls :func:`main`."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions import invoker
from serverless.functions.openwhisk.answers import named
from serverless.functions.openwhisk.call import call

WORKER = WorkerProcess(ready_at=now())


def main(args: Any) -> dict[str, Any]:
    """Run one activation."""
    return named(args, invoker.handle(args, WORKER, partial(call, os.environ)))
