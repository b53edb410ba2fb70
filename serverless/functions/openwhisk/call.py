"""How a function on OpenWhisk invokes another one and waits for its record; imported by the invoker function only.

The platform gives an action that is annotated with ``provide-api-key`` the namespace's key for the time of each run, in
``__OW_API_KEY``: it is in no code, parameter, result or log (apache/openwhisk, ``docs/annotations.md``).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from machine.json_values import read_json
from serverless.functions.backoff import attempts
from serverless.functions.http_limits import Adapter, ask, bounded_session
from serverless.functions.messages import ClientCall
from serverless.functions.over_http import TRUSTED

BLOCKING_S = 60  # OpenWhisk waits so long at most for a blocking call, then answers 202
POLL_S, POLL_LONGEST_S = 0.05, 1.0  # before the second look at a record, and between later ones
TO_ANSWER_S = 2.0  # of an action's own time, kept to report what became of the other one
_ANSWER_WITHIN_S = 30.0
_REFUSED = {429: "throttled", 413: "payload too large", 401: "unauthorized", 403: "forbidden"}
_SHOWN = 200  # characters of an error text


def call(environ: Mapping[str, str], function: str, params: Mapping[str, Any]) -> ClientCall:
    """Invoke an action of the own namespace, and return its record as soon as it has ended.

    Parameters
    ----------
    environ
        With ``__OW_API_HOST``, ``__OW_API_KEY``, and ``__OW_DEADLINE`` in milliseconds since the epoch.
    """
    api = _Api(environ)
    path = f"actions/{quote(function)}?blocking=true&timeout={BLOCKING_S * 1000}"
    try:
        status, said = api.ask("POST", path, params, BLOCKING_S + _ANSWER_WITHIN_S)
    except requests.RequestException as error:
        unsent = _was_refused(error)
        return ClientCall(
            error_kind="unreachable" if unsent else "no answer", reason=type(error).__name__, may_have_run=not unsent
        )
    if status == 202:
        return api.record(str(said.get("activationId")))
    if status in (200, 502) and "response" in said:
        return ClientCall(record=said)
    kind, words = _REFUSED.get(status, f"HTTP {status}"), str(said.get("error", ""))[:_SHOWN]
    return ClientCall(error_kind=kind, reason=words, may_have_run=not 400 <= status < 500)


class _Api:
    """The REST API of the platform that this process runs on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        host = environ["__OW_API_HOST"].rstrip("/")
        self._root = f"{host if '://' in host else f'https://{host}'}/api/v1/namespaces/_/"
        self._give_up_at = float(environ["__OW_DEADLINE"]) / 1000 - TO_ANSWER_S
        self._session = bounded_session()
        self._session.mount("https://", _Trusting())
        user, _, key = environ["__OW_API_KEY"].partition(":")
        self._session.auth = user, key

    @property
    def left_s(self) -> float:
        return max(0.1, self._give_up_at - time.time())

    def ask(self, verb: str, path: str, body: object, within_s: float) -> tuple[int, dict[str, Any]]:
        """Send a request once; return the status and the JSON object of the answer."""
        within_s = min(within_s, self.left_s)
        answer = ask(self._session, verb, self._root + path, within_s=within_s, json=body, timeout=within_s)
        try:
            value = read_json(answer.content)
        except ValueError:
            value = {"error": answer.text[:_SHOWN]}
        return answer.status_code, value if isinstance(value, dict) else {}

    def record(self, activation_id: str) -> ClientCall:
        """Poll for the record of an activation that goes on; it is 404 until the activation has ended."""
        for _ in attempts(self.left_s, POLL_S, POLL_LONGEST_S):
            try:
                status, said = self.ask("GET", f"activations/{quote(activation_id)}", None, _ANSWER_WITHIN_S)
            except requests.RequestException:
                continue  # the platform may be back before the time is up
            if status == 200 and "response" in said:
                return ClientCall(record=said)
        return ClientCall(error_kind="no record", reason="it left no record in time", activation_id=activation_id)


class _Trusting(Adapter):
    """Trusts the authorities that came with the function, besides the usual ones."""

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        context = ssl.create_default_context()
        shipped = Path(__file__).resolve().parents[3] / TRUSTED
        if shipped.is_file():
            context.load_verify_locations(shipped)
        super().init_poolmanager(*sizes, **options, ssl_context=context)


def _was_refused(error: Exception) -> bool:
    """Whether no server listened at the address, so that nothing was sent."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(getattr(reason, "__cause__", None), ConnectionRefusedError)
