"""``main.py`` of the client function on Google Cloud Functions: functions-framework calls :func:`main`."""

from __future__ import annotations

from typing import Any

from metrics.clocks import now
from serverless.functions import client, google

READY_AT = now()
google.born_with_this_process()


def main(request: Any) -> google.Answer:
    """Answer one HTTP request, a ``flask.Request``."""
    return google.answer(request, lambda params: client.handle(params, READY_AT))
