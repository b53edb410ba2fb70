"""``__main__.py`` of the probe function on OpenWhisk: the platform calls :func:`main`."""

from __future__ import annotations

from typing import Any

from serverless.functions import preflight
from serverless.functions.openwhisk.answers import named


def main(args: Any) -> dict[str, Any]:
    """Run one activation."""
    return named(args, preflight.handle(args))
