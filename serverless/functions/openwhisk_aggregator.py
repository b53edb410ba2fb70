"""``__main__.py`` of the aggregator function on OpenWhisk: the platform calls :func:`main`."""

from __future__ import annotations

from typing import Any

from metrics.clocks import now
from serverless.functions import aggregator

READY_AT = now()


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Run one activation."""
    return aggregator.handle(args, READY_AT)
