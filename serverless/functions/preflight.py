"""The probe function: looks at the place that functions run in, for ``python -m experiments.preflight``."""

from __future__ import annotations

import importlib
import platform
import resource
import time
import uuid
from contextlib import suppress
from importlib import metadata

from machine.clocks import now
from serverless.functions.engine import import_engine
from serverless.functions.messages import Package, PreflightAnswer, PreflightParams
from serverless.functions.transfer import TransferError, deliver, fetch

_INSTANCE = uuid.uuid4().hex  # of this container


def handle(params: PreflightParams) -> PreflightAnswer:
    """Do what is asked for, and answer what was seen."""
    answer = PreflightAnswer(instance=_INSTANCE, started_at=now(), ended_at=0.0, peak_memory_bytes=0)
    if "imports" in params:
        with suppress(Exception):  # what is missing is named below
            import_engine()  # as training imports it: in less memory than an import of the whole package takes
        answer["python"] = platform.python_version()
        answer["packages"] = {name: _imported(name) for name in params["imports"]}
        answer["import_s"] = now() - answer["started_at"]
    if "get_url" in params:
        _move(params["get_url"], params["put_url"], answer)
    time.sleep(params.get("sleep_s", 0))
    answer["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer["ended_at"] = now()
    return answer


def _imported(name: str) -> Package:
    try:
        importlib.import_module(name)
        return {"version": metadata.version(name)}
    except Exception as error:  # a broken package may raise anything
        return {"error": f"{type(error).__name__}: {error}"}


def _move(get_url: str, put_url: str, answer: PreflightAnswer) -> None:
    try:
        data = fetch(get_url)
        deliver(put_url, data)
    except TransferError as error:
        answer["transfer_error"] = str(error)
    else:
        answer["moved_bytes"] = len(data)
