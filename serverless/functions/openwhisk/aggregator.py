"""``__main__.py`` of the aggregator function on OpenWhisk: the platform calls :func:`main`."""

from __future__ import annotations

from typing import Any

from machine.clocks import now
from serverless.functions import aggregator
from serverless.functions.openwhisk.answers import named

READY_AT = now()


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Run one activation."""
    return named(args, aggregator.handle(args, READY_AT))
