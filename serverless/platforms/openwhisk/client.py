"""OpenWhisk's REST API, as much of it as running functions takes.

Source of the paths, codes and fields: apache/openwhisk, ``docs/rest_api.md`` and ``apiv1swagger.json``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from serverless.platforms.openwhisk.config import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError

_POLL_S = (0.05, 0.1, 0.2, 0.5, 1.0)  # between two looks at a record; the last one repeats
_REFUSED = {429: "throttled", 408: "request timed out", 413: "payload too large", 401: "unauthorized", 403: "forbidden"}


@dataclass
class OpenWhiskClient:
    """Talks to one namespace; safe to use from several threads.

    Parameters
    ----------
    api_host, auth
        Address, and ``uuid:key``; the key is never shown.
    """

    api_host: str
    auth: str = field(repr=False)
    settings: OpenWhiskSettings = field(default_factory=OpenWhiskSettings)
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def put_action(self, function: FunctionSpec, code: str, *, kind: str, binary: bool) -> None:
        """Create or overwrite an action; raises :class:`PlatformError`."""
        body = {
            "exec": {"kind": kind, "code": code, "binary": binary, "main": "main"},
            "limits": {
                "memory": function.memory_mb,
                "timeout": round(function.timeout_s * 1000),
                "logs": 1,
                "concurrency": 1,
            },
            "annotations": [{"key": "provide-api-key", "value": False}],
        }
        self.call("PUT", f"actions/{quote(function.name)}?overwrite=true", json=body)

    def delete_action(self, name: str) -> None:
        """Delete an action; raises :class:`PlatformError` for any answer but "done" and "there is none"."""
        self.call("DELETE", f"actions/{quote(name)}", also=(404,))

    def actions(self) -> tuple[str, ...]:
        """Return the names of all actions of the namespace."""
        names: list[str] = []
        while True:
            page = self.call("GET", f"actions?limit=200&skip={len(names)}").json()
            names += [action["name"] for action in page]
            if len(page) < 200:
                return tuple(names)

    def invoke(self, function: FunctionSpec, params: Mapping[str, Any]) -> Invocation:
        """Invoke an action, wait for its record, and tell what became of it."""
        give_up_at = time.monotonic() + 2 * function.timeout_s + self.settings.request_timeout_s
        try:
            answer = self._send("POST", f"actions/{quote(function.name)}?blocking=true", json=params)
        except requests.ConnectTimeout as error:
            return _failure("unreachable", error, may_have_run=False)
        except requests.RequestException as error:
            refused = "Connection refused" in str(error)
            return _failure("unreachable" if refused else "no answer", error, may_have_run=not refused)
        activation_id = answer.headers.get("x-openwhisk-activation-id")
        if answer.status_code == 202:
            return self._await_record(_json(answer).get("activationId") or activation_id, give_up_at)
        record = _json(answer)
        if answer.status_code in (200, 502) and "response" in record:
            return _of_record(record)
        kind = _REFUSED.get(answer.status_code, f"HTTP {answer.status_code}")
        words = str(record.get("error") or answer.text[:200])
        return Invocation(activation_id, None, kind, words, may_have_run=answer.status_code >= 500)

    def _await_record(self, activation_id: str | None, give_up_at: float) -> Invocation:
        """Poll for the record of an activation that goes on; it is 404 until the activation has ended."""
        looks = 0
        while time.monotonic() < give_up_at:
            try:
                answer = self._send("GET", f"activations/{activation_id}")
            except requests.RequestException:
                answer = None  # the platform may be back before the time is up
            if answer is not None and answer.status_code == 200:
                return _of_record(_json(answer))
            time.sleep(_POLL_S[min(looks, len(_POLL_S) - 1)])
            looks += 1
        return Invocation(activation_id, None, "no record", f"activation {activation_id} left no record in time")

    def call(self, verb: str, path: str, *, also: tuple[int, ...] = (), json: Any = None) -> requests.Response:
        """Send a request that must succeed.

        Raises
        ------
        PlatformError
            If the platform cannot be reached, or answers anything but success or one of ``also``.
        """
        try:
            answer = self._send(verb, path, json=json)
        except requests.RequestException as error:
            raise PlatformError(
                f"OpenWhisk at {self.api_host} cannot be reached ({type(error).__name__}): check platform.api_host, "
                f"and that the deployment runs"
            ) from error
        if answer.ok or answer.status_code in also:
            return answer
        words = _json(answer).get("error") or answer.text[:200]
        hint = f"; check the key in ${self.settings.auth_env}" if answer.status_code in (401, 403) else ""
        raise PlatformError(f"OpenWhisk at {self.api_host}: {verb} {path}: {answer.status_code} {words}{hint}")

    def _send(self, verb: str, path: str, *, json: Any = None) -> requests.Response:
        url = f"{self.api_host}/api/v1/namespaces/{quote(self.settings.namespace)}/{path}"
        time_outs = (self.settings.request_timeout_s, 60.0 + self.settings.request_timeout_s)
        return self._session().request(verb, url, json=json, timeout=time_outs, allow_redirects=False)

    def _session(self) -> requests.Session:
        """One session per thread: connections stay open, and no two threads share one."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.trust_env = False
            user, _, key = self.auth.partition(":")
            session.auth = (user, key)
            ca_file = self.settings.ca_file
            session.verify = str(ca_file) if ca_file else self.settings.verify_tls
            self._local.session = session
        session_: requests.Session = self._local.session
        return session_


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _failure(kind: str, error: Exception, *, may_have_run: bool) -> Invocation:
    return Invocation(None, None, kind, f"{type(error).__name__}: {error}", may_have_run=may_have_run)


def _of_record(record: dict[str, Any]) -> Invocation:
    """Read an activation record; times in it are milliseconds."""
    notes = {note["key"]: note["value"] for note in record.get("annotations", [])}
    response = record["response"]
    result = response.get("result")
    failed = not response.get("success", False)
    error = result.get("error") if failed and isinstance(result, dict) else result if failed else None
    return Invocation(
        activation_id=record.get("activationId"),
        result=result if not failed and isinstance(result, dict) else None,
        error_kind=str(response.get("status", "error")) if failed else None,
        error=None if error is None else str(error),
        provider_s=_seconds(record.get("duration")),
        wait_s=_seconds(notes.get("waitTime")),
        init_s=_seconds(notes.get("initTime")),
    )


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else float(milliseconds) / 1000
