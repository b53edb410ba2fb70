"""What the functions have in common on Google Cloud Functions, under functions-framework.

The framework imports ``main.py`` in a process that then forks the worker which answers: the instance was born with the
first of the two.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

from machine.clocks import process_started_at
from metrics.collect import probe

Answer = tuple[str, int, dict[str, str]]
_JSON = {"Content-Type": "application/json"}


def born_with_this_process() -> None:
    """Let cold starts in workers that this process forks count from the birth of this process."""
    born_at = process_started_at()
    os.register_at_fork(after_in_child=lambda: probe.count_from(born_at))  # after the probe's own hook


def answer(request: Any, function: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Answer a ``flask.Request`` with what ``function`` makes of its JSON object."""
    params = request.get_json(force=True, silent=True)
    if not isinstance(params, dict):
        return json.dumps({"error": "the request is no JSON object"}), 400, _JSON
    try:
        result = function(params)
    except Exception as error:
        traceback.print_exc()
        return json.dumps({"error": f"{type(error).__name__}: {error}"}), 500, _JSON
    return json.dumps(result, allow_nan=False), 200, _JSON
