"""How a function on OpenWhisk invokes another one and waits for its record. Shipped: the standard library only.

The platform gives an action that is annotated with ``provide-api-key`` the namespace's key for the time of each run, in
``__OW_API_KEY``: it is in no code, parameter, result or log (apache/openwhisk, ``docs/annotations.md``).
"""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serverless.functions.backoff import attempts
from serverless.functions.over_http import TRUSTED

BLOCKING_S = 60  # OpenWhisk holds a blocking call so long at most, then answers 202
POLL_S, POLL_LONGEST_S = 0.05, 1.0  # before the second look at a record, and between later ones
TO_ANSWER_S = 2.0  # of an action's own time, kept to tell what became of the other one
_ANSWER_WITHIN_S = 30.0
_REFUSED = {429: "throttled", 413: "payload too large", 401: "unauthorized", 403: "forbidden"}
_SHOWN = 200  # characters of somebody's page


def call(environ: Mapping[str, str], function: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke an action of the own namespace, and return its record as soon as it has ended.

    Parameters
    ----------
    environ
        With ``__OW_API_HOST``, ``__OW_API_KEY``, and ``__OW_DEADLINE`` in milliseconds since the epoch.

    Returns
    -------
    dict
        ``record``, the activation's record; or ``error_kind`` (as in ``invocations``), ``error``, ``may_have_run``, and
        ``activation_id`` as far as it is known.
    """
    api = _Api(environ)
    path = f"actions/{quote(function)}?blocking=true&timeout={BLOCKING_S * 1000}"
    try:
        status, said = api.ask("POST", path, dict(params), BLOCKING_S + _ANSWER_WITHIN_S)
    except OSError as error:  # URLError, a time-out, a connection that broke
        unsent = isinstance(getattr(error, "reason", None), ConnectionRefusedError)
        return _failure("unreachable" if unsent else "no answer", type(error).__name__, may_have_run=not unsent)
    if status == 202:
        return api.record(str(said.get("activationId")))
    if status in (200, 502) and "response" in said:
        return {"record": said}
    words = str(said.get("error", ""))[:_SHOWN]
    return _failure(_REFUSED.get(status, f"HTTP {status}"), words, may_have_run=not 400 <= status < 500)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for an answer: followed, it would carry the key to wherever it leads."""

    def redirect_request(self, *_arguments: object, **_named: object) -> None:
        return None


class _Api:
    """The REST API of the platform that this process runs on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        host = environ["__OW_API_HOST"].rstrip("/")
        self._root = f"{host if '://' in host else f'https://{host}'}/api/v1/namespaces/_/"
        self._authorization = f"Basic {base64.b64encode(environ['__OW_API_KEY'].encode()).decode()}"
        self._give_up_at = float(environ["__OW_DEADLINE"]) / 1000 - TO_ANSWER_S
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirects()]
        if self._root.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_tls()))
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def left_s(self) -> float:
        return max(0.1, self._give_up_at - time.time())

    def ask(self, verb: str, path: str, body: object, within_s: float) -> tuple[int, dict[str, Any]]:
        """Send a request once; return the status and the JSON object of the answer."""
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, headers, method=verb)  # noqa: S310 - the platform's
        try:
            with self._opener.open(request, timeout=min(within_s, self.left_s)) as answer:
                return answer.status, _object(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _object(error.read())

    def record(self, activation_id: str) -> dict[str, Any]:
        """Poll for the record of an activation that goes on; it is 404 until the activation has ended."""
        for _ in attempts(self.left_s, POLL_S, POLL_LONGEST_S):
            try:
                status, said = self.ask("GET", f"activations/{quote(activation_id)}", None, _ANSWER_WITHIN_S)
            except OSError:
                continue  # the platform may be back before the time is up
            if status == 200 and "response" in said:
                return {"record": said}
        return {**_failure("no record", "it left no record in time"), "activation_id": activation_id}


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    shipped = Path(__file__).resolve().parents[3] / TRUSTED
    if shipped.is_file():
        context.load_verify_locations(shipped)
    return context


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {"error": body[:_SHOWN].decode(errors="replace")}
    return value if isinstance(value, dict) else {}


def _failure(kind: str, words: str, *, may_have_run: bool = True) -> dict[str, Any]:
    return {"error_kind": kind, "error": words, "may_have_run": may_have_run}
