"""``main.py`` of the client function on Google Cloud Functions: functions-framework calls :func:`main`."""

from __future__ import annotations

from typing import Any

from machine.clocks import now, process_started_at
from metrics.collect.probe import WorkerProcess
from serverless.functions import client
from serverless.functions.google import answers

WORKER = WorkerProcess(ready_at=now(), born_at=process_started_at())


def main(request: Any) -> answers.Answer:
    """Answer one HTTP request, a ``flask.Request``."""
    return answers.answer(request, lambda params: client.handle(params, WORKER))
