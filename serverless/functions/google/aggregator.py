"""``main.py`` of the aggregator function on Google Cloud Functions: functions-framework calls :func:`main`."""

from __future__ import annotations

from typing import Any

from machine.clocks import now
from serverless.functions import aggregator
from serverless.functions.google import answers

READY_AT = now()
answers.born_with_this_process()


def main(request: Any) -> answers.Answer:
    """Answer one HTTP request, a ``flask.Request``."""
    return answers.answer(request, lambda params: aggregator.handle(params, READY_AT))
