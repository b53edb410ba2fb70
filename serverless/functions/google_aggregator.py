"""``main.py`` of the aggregator function on Google Cloud Functions: functions-framework calls :func:`main`."""

from __future__ import annotations

from typing import Any

from metrics.clocks import now
from serverless.functions import aggregator, google

READY_AT = now()
google.born_with_this_process()


def main(request: Any) -> google.Answer:
    """Answer one HTTP request, a ``flask.Request``."""
    return google.answer(request, lambda params: aggregator.handle(params, READY_AT))
