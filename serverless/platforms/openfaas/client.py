"""OpenFaaS's gateway API, as much of it as running functions takes.

Source of the paths, codes, headers and fields: openfaas/faas (``api-docs/spec.openapi.yml``, ``gateway``, commit
8d803bf), openfaas/faas-provider (``types``, commit f53fe63) and openfaas/of-watchdog (commit 9bdadb1).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from serverless.functions.openfaas.server import DEPLOYMENT
from serverless.platforms.http_api import Web, authorities, json_of, unanswered, words
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.protocol import FunctionSpec, Invocation

CALL_ID, DURATION, CALLBACK = "X-Call-Id", "X-Duration-Seconds", "X-Callback-Url"
_INTERNAL = "X-OpenFaaS-Internal"  # on answers of the proxy or the watchdog, not of the function
_KINDS = {
    400: "bad request",
    401: "unauthorized",
    403: "forbidden",
    404: "no such function",
    413: "payload too large",
    429: "throttled",
    503: "no replica",
    504: "timed out",
}
_NOT_RUN = (400, 401, 403, 404, 413, 429)


@dataclass
class OpenFaasClient:
    """Talks to one gateway; safe to use from several threads.

    Parameters
    ----------
    api_host, auth
        Address, and ``user:password``; the password is never shown.
    """

    api_host: str
    auth: str = field(repr=False)
    settings: OpenFaasSettings = field(default_factory=OpenFaasSettings)

    def __post_init__(self) -> None:
        user, _, password = self.auth.partition(":")
        settings = self.settings
        verify = authorities(settings.ca_file, settings.verify_tls)
        hint = f"check user:password in ${settings.auth_env}"
        self.web = Web("OpenFaaS", self.api_host, (user, password), verify, settings.request_timeout_s, hint)

    def functions(self) -> tuple[str, ...]:
        """Return the names of the deployed functions; raises :class:`PlatformError`."""
        found = self.web.read(f"{self.api_host}/system/functions", list)
        return tuple(str(function["name"]) for function in found)

    def deployed(self, name: str) -> dict[str, Any] | None:
        """Return the gateway's status of a function, ``None`` if there is none; raises :class:`PlatformError`."""
        url = f"{self.api_host}/system/function/{quote(name)}"
        answer = self.web.call("GET", url, also=(404,))
        return None if answer.status_code == 404 else self.web.value(answer, url)

    def put(self, deployment: Mapping[str, Any]) -> None:
        """Create a function, or update it if it is there; raises :class:`PlatformError`."""
        verb = "PUT" if self.deployed(deployment["service"]) else "POST"
        self.web.call(verb, f"{self.api_host}/system/functions", json=dict(deployment))

    def delete(self, name: str) -> None:
        """Delete a function, if it is there; raises :class:`PlatformError`."""
        self.web.call("DELETE", f"{self.api_host}/system/functions", also=(404,), json={"functionName": name})

    def invoke(self, function: FunctionSpec, params: Mapping[str, Any], deployment: str | None = None) -> Invocation:
        """Invoke a function, wait for its answer, and tell what became of it.

        The gateway passes on what the watchdog says of the request's duration; of queues, and of containers that it had
        to start, it says nothing.

        Parameters
        ----------
        deployment
            What the function's answers are to name as the deployment that gave them; ``None`` if that is all the same.
        """
        sent = self._send(function, params, f"function/{quote(function.name)}", {})
        return sent if isinstance(sent, Invocation) else read_answer(sent, json_of(sent), sent.headers, deployment)

    def submit(self, function: FunctionSpec, params: Mapping[str, Any], callback_url: str) -> Invocation:
        """Queue an invocation whose answer is to be posted to ``callback_url``.

        Returns
        -------
        Invocation
            Without a result; ``activation_id`` is the call's id, and ``error_kind`` says why it was not queued.
        """
        sent = self._send(function, params, f"async-function/{quote(function.name)}", {CALLBACK: callback_url})
        if isinstance(sent, Invocation):
            return sent
        call_id = sent.headers.get(CALL_ID) or sent.request.headers.get(CALL_ID)
        if sent.status_code == 202:
            return Invocation(call_id)
        return read_answer(sent, json_of(sent), sent.headers)

    def _send(
        self, function: FunctionSpec, params: Mapping[str, Any], path: str, headers: dict[str, str]
    ) -> requests.Response | Invocation:
        limit_s = function.timeout_s + self.settings.request_timeout_s
        named = headers | {CALL_ID: str(uuid.uuid4())}
        try:
            return self.web.send("POST", f"{self.api_host}/{path}", timeout_s=limit_s, json=dict(params), headers=named)
        except requests.RequestException as error:
            return unanswered(error, named[CALL_ID])


def read_answer(
    answer: requests.Response, said: dict[str, Any], headers: Mapping[str, str], deployment: str | None = None
) -> Invocation:
    """Tell what an answer of the gateway says of an invocation."""
    call_id = headers.get(CALL_ID) or answer.request.headers.get(CALL_ID)
    return read_reply(answer.status_code, said, headers, words(answer, said), call_id, deployment)


def read_reply(
    status: int,
    said: dict[str, Any],
    headers: Mapping[str, str],
    error: str,
    call_id: str | None,
    deployment: str | None = None,
) -> Invocation:
    """Tell what a function's reply, or the gateway's or the watchdog's in its place, says of an invocation.

    Parameters
    ----------
    said, error
        The reply's JSON object, an empty one if it is something else; and what it says of an error.
    """
    provider_s = _seconds(headers.get(DURATION))
    kind: str | None = None
    if status == 200 and not said:
        kind = "no JSON answer"
        error = f"answered with {headers.get('Content-Type', 'no content type')}, not with a function's JSON: {error}"
    elif status == 200 and deployment is not None and headers.get(DEPLOYMENT) != deployment:
        kind, error = "other deployment", "a replica of an earlier deployment answered; it is being replaced"
    elif status != 200:
        kind = _KINDS.get(status, f"HTTP {status}")
        if status == 500:
            kind = "function gone" if _INTERNAL in headers else "application error" if "error" in said else kind
        error = error or headers.get(_INTERNAL, "") or "no words"
    ran = status not in _NOT_RUN
    return Invocation(
        call_id if ran else None,
        None if kind else said,
        kind,
        error if kind else None,
        may_have_run=ran,
        provider_s=provider_s,
        provider_start="excluded",
    )


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
