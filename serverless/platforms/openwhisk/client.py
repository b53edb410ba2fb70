"""OpenWhisk's REST API, as much of it as running functions takes.

Source of the paths, codes and fields: apache/openwhisk, ``docs/rest_api.md`` and ``apiv1swagger.json``.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import requests

from machine.clocks import now
from machine.json_values import read_json
from serverless.functions.backoff import attempts
from serverless.functions.openwhisk.answers import INVOCATION
from serverless.platforms.http_api import Web, authorities, json_of, unanswered, words
from serverless.platforms.openwhisk.activation_records import names, read_record
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, Invocation

POLL_S, POLL_LONGEST_S = 0.05, 1.0  # before the second look at a record, and between later ones
LOOK_FOR_S = 2.0  # how long a lost answer is looked for among the records
_CLOCKS_APART_S = 60.0  # at most, the platform's and ours
_PAGE = 200  # OpenWhisk's most
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

    def __post_init__(self) -> None:
        self._rest = Rest(self.api_host, self.auth, self.settings)

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
            "annotations": [{"key": "provide-api-key", "value": function.may_invoke}],
        }
        self.call("PUT", f"actions/{quote(function.name)}?overwrite=true", json=body)

    def delete_action(self, name: str) -> None:
        """Delete an action; raises :class:`PlatformError` for any answer but "done" and "there is none"."""
        self.call("DELETE", f"actions/{quote(name)}", also=(404,))

    def actions(self) -> tuple[str, ...]:
        """Return the names of all actions of the namespace."""
        found: list[str] = []
        while True:
            page = self._rest.page(f"actions?limit={_PAGE}&skip={len(found)}")
            found += [action["name"] for action in page]
            if len(page) < _PAGE:
                return tuple(found)

    def call(self, verb: str, path: str, *, also: tuple[int, ...] = (), json: Any = None) -> requests.Response:
        """Send a request that may be sent twice, and must succeed; see :meth:`Rest.call`."""
        return self._rest.call(verb, path, also=also, json=json)

    def invoke(self, function: FunctionSpec, params: Mapping[str, Any]) -> Invocation:
        """Invoke an action, wait for its record, and tell what became of it.

        The request is sent once: whether to try again is the caller's choice. An answer that is lost is looked for
        among the platform's records, which name the call (:mod:`serverless.functions.openwhisk.answers`).
        """
        sent_at, name = now(), uuid.uuid4().hex
        give_up_at = time.monotonic() + 2 * function.timeout_s + self.settings.request_timeout_s
        path = f"actions/{quote(function.name)}?blocking=true&timeout={round(self.settings.blocking_s * 1000)}"
        try:
            answer = self._rest.send("POST", path, json={**params, INVOCATION: name})
        except requests.RequestException as error:
            return self._found(function, name, sent_at, unanswered(error, None))
        said = json_of(answer)
        activation_id = said.get("activationId") or answer.headers.get("x-openwhisk-activation-id")
        if answer.status_code == 202:
            return self._await_record(activation_id, give_up_at)
        if answer.status_code in (200, 502) and (invocation := read_record(said)):
            return invocation
        kind = _REFUSED.get(answer.status_code, f"HTTP {answer.status_code}")
        doubtful = answer.ok or answer.status_code >= 500  # half an answer, or one of somebody in between
        refused = Invocation(activation_id, None, kind, words(answer, said), may_have_run=doubtful)
        return self._found(function, name, sent_at, refused)

    def _await_record(self, activation_id: str | None, give_up_at: float) -> Invocation:
        """Poll for the record of an activation that goes on; it is 404 until the activation has ended."""
        for _ in attempts(give_up_at - time.monotonic(), POLL_S, POLL_LONGEST_S):
            try:
                answer = self._rest.send("GET", f"activations/{activation_id}")
            except requests.RequestException:
                continue  # the platform may be back before the time is up
            if answer.ok and (invocation := read_record(json_of(answer))):
                return replace(invocation, got_over=None if invocation.error_kind else "answered later")
            if answer.status_code in (401, 403):
                break
        return Invocation(activation_id, None, "no record", f"activation {activation_id} left no record in time")

    def _found(self, function: FunctionSpec, name: str, sent_at: float, lost: Invocation) -> Invocation:
        """Return the record of an invocation whose answer was lost, if the platform has it by now."""
        since = round((sent_at - _CLOCKS_APART_S) * 1000)
        for _ in attempts(LOOK_FOR_S, POLL_S, POLL_LONGEST_S) if lost.may_have_run else ():
            try:
                mine = (record for record in self._records(function.name, since) if names(record, name))
                if invocation := read_record(next(mine, None)):
                    return replace(invocation, got_over=lost.error_kind)
            except (requests.RequestException, ValueError):
                continue
        return lost

    def _records(self, action: str, since: int) -> Iterator[Any]:
        """Yield an action's records from a moment on (milliseconds since the epoch), the latest first."""
        query = f"activations?name={quote(action)}&since={since}&limit={_PAGE}&docs=true"
        for skip in itertools.count(0, _PAGE):
            page = read_json(self._rest.send("GET", f"{query}&skip={skip}").content)
            if not isinstance(page, list):
                return
            yield from page
            if len(page) < _PAGE:
                return


@dataclass
class Rest:
    """One namespace of a deployment; safe to use from several threads. See :class:`OpenWhiskClient`."""

    api_host: str
    auth: str = field(repr=False)
    settings: OpenWhiskSettings

    def __post_init__(self) -> None:
        user, _, key = self.auth.partition(":")
        settings = self.settings
        verify = authorities(settings.ca_file, settings.verify_tls)
        hint = f"check the key in ${settings.auth_env}"
        self._web = Web("OpenWhisk", self.api_host, (user, key), verify, settings.request_timeout_s, hint)
        self._namespace = f"{self.api_host}/api/v1/namespaces/{quote(settings.namespace)}/"
        self._limit_s = settings.blocking_s + settings.request_timeout_s

    def call(self, verb: str, path: str, *, also: tuple[int, ...] = (), json: Any = None) -> requests.Response:
        """Send a request that may be sent twice, and must succeed; see :meth:`Web.call`."""
        return self._web.call(verb, self._namespace + path, also=also, json=json, timeout_s=self._limit_s)

    def page(self, path: str) -> Any:
        """Return a list of the API; raises :class:`PlatformError`."""
        return self._web.value(self.call("GET", path), self._namespace + path, list)

    def send(self, verb: str, path: str, *, json: Any = None) -> requests.Response:
        """Send a request once, whatever the answer; raises :class:`requests.RequestException` if there is none."""
        return self._web.send(verb, self._namespace + path, json=json, timeout_s=self._limit_s)
