"""OpenWhisk's REST API, as much of it as running functions takes.

Source of the paths, codes and fields: apache/openwhisk, ``docs/rest_api.md`` and ``apiv1swagger.json``.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import requests

from metrics.clocks import now
from serverless.functions.backoff import attempts
from serverless.functions.openwhisk import INVOCATION
from serverless.platforms.openwhisk.config import OpenWhiskSettings
from serverless.platforms.openwhisk.records import json_of, names, read_record
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError

POLL_S = 0.05  # before the second look at a record, doubled before each later one up to ...
POLL_LONGEST_S = 1.0
LOOK_FOR_S = 2.0  # how long a lost answer is looked for among the records
_CLOCKS_APART_S = 60.0  # at most, the platform's and ours
_PAGE = 200  # OpenWhisk's most
_REFUSED = {429: "throttled", 408: "request timed out", 413: "payload too large", 401: "unauthorized", 403: "forbidden"}
_BACKOFF_S = 0.2  # before a request is sent again, doubled before each later time
_PASSING = (429, 502, 503, 504)  # of a request that may be sent twice


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
        """Invoke an action, wait for its record, and tell what became of it.

        One request is sent, never a second one: whether to try again is the caller's choice. An answer that is lost is
        looked for among the platform's records, where the call's name is (:mod:`serverless.functions.openwhisk`).
        """
        sent_at = now()
        give_up_at = time.monotonic() + 2 * function.timeout_s + self.settings.request_timeout_s
        name = uuid.uuid4().hex
        path = f"actions/{quote(function.name)}?blocking=true&timeout={round(self.settings.blocking_s * 1000)}"
        try:
            answer = self._send("POST", path, json={**params, INVOCATION: name})
        except requests.ConnectTimeout as error:
            return _failure("unreachable", error, may_have_run=False)
        except requests.RequestException as error:
            if _is_refused(error):
                return _failure("unreachable", error, may_have_run=False)
            return self._find(function, name, sent_at) or _failure("no answer", error, may_have_run=True)
        activation_id = answer.headers.get("x-openwhisk-activation-id")
        said = json_of(answer)
        if answer.status_code == 202:
            return self._await_record(said.get("activationId") or activation_id, give_up_at)
        if answer.status_code in (200, 502) and (invocation := read_record(said)):
            return invocation
        kind = _REFUSED.get(answer.status_code, f"HTTP {answer.status_code}")
        if answer.status_code >= 500 or answer.ok:  # from somebody in between, or half an answer
            if found := self._find(function, name, sent_at, got_over=kind):
                return found
            return Invocation(activation_id, None, kind, _words(answer, said), may_have_run=True)
        return Invocation(activation_id, None, kind, _words(answer, said), may_have_run=False)

    def _await_record(self, activation_id: str | None, give_up_at: float) -> Invocation:
        """Poll for the record of an activation that goes on; it is 404 until the activation has ended."""
        for _ in attempts(give_up_at - time.monotonic(), POLL_S, POLL_LONGEST_S):
            try:
                answer = self._send("GET", f"activations/{activation_id}")
            except requests.RequestException:
                continue  # the platform may be back before the time is up
            if answer.ok and (invocation := read_record(json_of(answer))):
                return replace(invocation, got_over=None if invocation.error_kind else "answered later")
            if answer.status_code in (401, 403):
                break
        return Invocation(activation_id, None, "no record", f"activation {activation_id} left no record in time")

    def _find(
        self, function: FunctionSpec, name: str, sent_at: float, got_over: str = "no answer"
    ) -> Invocation | None:
        """Look for the record of an invocation whose answer was lost; ``None`` if there is none (yet)."""
        since = round((sent_at - _CLOCKS_APART_S) * 1000)
        for _ in attempts(LOOK_FOR_S, POLL_S, POLL_LONGEST_S):
            try:
                for record in self._records(function.name, since):
                    if names(record, name) and (invocation := read_record(record)):
                        return replace(invocation, got_over=got_over)
            except (requests.RequestException, ValueError):
                continue
        return None

    def _records(self, action: str, since: int) -> Iterator[Any]:
        """Yield an action's records from a moment on (milliseconds since the epoch), the latest first."""
        for skip in itertools.count(0, _PAGE):
            page = self._send(
                "GET", f"activations?name={quote(action)}&since={since}&limit={_PAGE}&skip={skip}&docs=true"
            ).json()
            yield from page
            if not isinstance(page, list) or len(page) < _PAGE:
                return

    def call(self, verb: str, path: str, *, also: tuple[int, ...] = (), json: Any = None) -> requests.Response:
        """Send a request that must succeed.

        Raises
        ------
        PlatformError
            If the platform cannot be reached, or answers anything but success or one of ``also``.
        """
        answer = self._send_again(verb, path, json)
        if answer.ok or answer.status_code in also:
            return answer
        words = _words(answer, json_of(answer))
        hint = f"; check the key in ${self.settings.auth_env}" if answer.status_code in (401, 403) else ""
        raise PlatformError(f"OpenWhisk at {self.api_host}: {verb} {path}: {answer.status_code} {words}{hint}")

    def _send_again(self, verb: str, path: str, json: Any) -> requests.Response:
        """Send a request that may be sent twice, until the platform answers it for good or the patience is over."""
        problem: requests.RequestException | None = None
        for _ in attempts(self.settings.request_timeout_s, _BACKOFF_S):
            try:
                answer = self._send(verb, path, json=json)
            except requests.RequestException as error:
                problem = error
                if isinstance(error, requests.exceptions.SSLError):
                    break  # a certificate does not become good by waiting
            else:
                problem = None
                if answer.status_code not in _PASSING:
                    return answer
        if problem is None:
            return answer
        raise PlatformError(
            f"OpenWhisk at {self.api_host} cannot be reached ({type(problem).__name__}): {_advice(problem)}"
        ) from problem

    def _send(self, verb: str, path: str, *, json: Any = None) -> requests.Response:
        url = f"{self.api_host}/api/v1/namespaces/{quote(self.settings.namespace)}/{path}"
        time_outs = (self.settings.request_timeout_s, self.settings.blocking_s + self.settings.request_timeout_s)
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


def _advice(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted; name the PEM file of its authority with platform.ca_file=PATH"
    return "check platform.api_host, and that the deployment runs"


def _is_refused(error: requests.RequestException) -> bool:
    """Whether nobody listened at the other end: nothing was sent."""
    return "NewConnectionError" in repr(error) or "Connection refused" in str(error)


def _words(answer: requests.Response, said: Mapping[str, Any]) -> str:
    return str(said.get("error") or answer.text[:200])


def _failure(kind: str, error: Exception, *, may_have_run: bool) -> Invocation:
    return Invocation(None, None, kind, f"{type(error).__name__}: {error}", may_have_run=may_have_run)
