"""The probe function: looks at the place that functions run in, for ``python -m experiments.preflight``."""

from __future__ import annotations

import importlib
import platform
import resource
import time
import uuid
from importlib import metadata
from typing import Any

from machine.clocks import now
from serverless.functions.transfer import TransferError, deliver, fetch

_INSTANCE = uuid.uuid4().hex  # of this container


def handle(params: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked for, and tell.

    Parameters
    ----------
    params
        Each of them may be absent. ``imports``: names of packages to import; ``get_url`` and ``put_url``: the object
        behind the one is written to the other; ``sleep_s``: seconds to keep the container busy.

    Returns
    -------
    dict
        ``instance`` of the container; ``started_at`` and ``ended_at``, seconds since the epoch by this container's
        clock; ``peak_memory_bytes`` of its process so far; and, of what was asked for, ``python`` and ``packages``
        (name to ``{"version"}`` or ``{"error"}``), ``import_s``, ``moved_bytes`` or ``transfer_error``.
    """
    started_at = now()
    answer: dict[str, Any] = {"instance": _INSTANCE, "started_at": started_at}
    if "imports" in params:
        answer["python"] = platform.python_version()
        answer["packages"] = {name: _imported(name) for name in params["imports"]}
        answer["import_s"] = now() - started_at
    if "get_url" in params:
        answer |= _moved(params["get_url"], params["put_url"])
    time.sleep(params.get("sleep_s", 0))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**answer, "peak_memory_bytes": peak_kib * 1024, "ended_at": now()}


def _imported(name: str) -> dict[str, str]:
    try:
        importlib.import_module(name)
        return {"version": metadata.version(name)}
    except Exception as error:  # a broken package may raise anything
        return {"error": f"{type(error).__name__}: {error}"}


def _moved(get_url: str, put_url: str) -> dict[str, Any]:
    try:
        data = fetch(get_url)
        deliver(put_url, data)
    except TransferError as error:
        return {"transfer_error": str(error)}
    return {"moved_bytes": len(data)}
