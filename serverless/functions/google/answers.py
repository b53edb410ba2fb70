"""What the functions have in common on Google Cloud Functions, under functions-framework.

The framework imports ``main.py`` in a process that then forks the worker which answers. The cold start of an instance
begins with the first of the two: ``main.py`` reads when that one was created.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

Answer = tuple[str, int, dict[str, str]]
_JSON = {"Content-Type": "application/json"}


def answer(request: Any, function: Callable[[Any], dict[str, Any]]) -> Answer:
    """Answer a ``flask.Request`` with the result of ``function`` on its JSON object."""
    params = request.get_json(force=True, silent=True)
    if not isinstance(params, dict):
        return json.dumps({"error": "the request is no JSON object"}), 400, _JSON
    try:
        result = function(params)
    except Exception as error:
        traceback.print_exc()
        return json.dumps({"error": f"{type(error).__name__}: {error}"}), 500, _JSON
    return json.dumps(result, allow_nan=False), 200, _JSON
