"""The Cloud Functions v2 REST API, as much of it as running functions takes, and invocations of the functions' URLs.

Source of the paths and fields: googleapis/googleapis, ``google/cloud/functions/v2/functions.proto`` (commit 3597f7d);
of the front end's answers: Cloud Run's troubleshooting page and container contract.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from serverless.functions.backoff import attempts
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.google.tokens import Bearer, BearerIdentity, Tokens
from serverless.platforms.http_api import Web, authorities, json_of, unanswered, words
from serverless.platforms.protocol import FunctionSpec, Invocation, PlatformError

TRACE = "X-Cloud-Trace-Context"
POLL_S, POLL_LONGEST_S = 0.05, 5.0  # between looks at an operation
_PAGE = 1000
_ZIP = {"Content-Type": "application/zip"}
_KINDS = {
    400: "bad request",
    401: "unauthorized",
    403: "forbidden",
    404: "no such function",
    413: "payload too large",
    429: "throttled",
    503: "function gone",
    504: "timed out",
}
_NOT_RUN = (401, 403, 404, 413, 429)


@dataclass
class GoogleClient:
    """Talks to one location of one project; safe to use from several threads.

    Parameters
    ----------
    api_host
        Address of the API.
    tokens
        Who we are.
    """

    api_host: str
    tokens: Tokens
    settings: GoogleSettings

    def __post_init__(self) -> None:
        settings = self.settings
        verify = authorities(settings.ca_file, settings.verify_tls)
        hint = f"check the account in ${settings.auth_env}: it needs the roles cloudfunctions.developer and run.invoker"
        what = "Google Cloud Functions"
        limit_s = settings.request_timeout_s
        self._v2 = f"{self.api_host}/v2/"
        self._web = Web(what, self.api_host, Bearer(self.tokens), verify, limit_s, hint)
        self._open = Web(what, self.api_host, None, verify, limit_s, hint)  # signed URLs want no credentials beside

    def upload(self, code: bytes) -> dict[str, Any]:
        """Send a function's source; return its ``storageSource``; raises :class:`PlatformError`."""
        url = f"{self._v2}{self.settings.parent}/functions:generateUploadUrl"
        given = self._object(self._web.call("POST", url, json={}), "uploadUrl", "storageSource")
        try:
            answer = self._open.send("PUT", given["uploadUrl"], data=code, headers=_ZIP, timeout_s=300.0)
        except requests.RequestException as error:  # its text and its cause have the URL, which is a secret
            raise PlatformError(f"Google's storage takes no source ({type(error).__name__})") from None
        if not answer.ok:  # the URL itself is a secret
            raise PlatformError(f"Google's storage takes no source: {answer.status_code} {answer.reason}")
        return dict(given["storageSource"])

    def function(self, name: str) -> dict[str, Any] | None:
        """Return a function's resource, ``None`` if there is none; raises :class:`PlatformError`."""
        answer = self._web.call("GET", self._url(name), also=(404,))
        return None if answer.status_code == 404 and json_of(answer) else self._object(answer, "name")

    def functions(self) -> tuple[str, ...]:
        """Return the names of the location's functions; raises :class:`PlatformError`."""
        names: list[str] = []
        token = ""
        while True:
            query = f"?pageSize={_PAGE}" + (f"&pageToken={quote(token)}" if token else "")
            page = self._web.read(f"{self._v2}{self.settings.parent}/functions{query}")
            names += [str(function["name"]).rpartition("/")[2] for function in page.get("functions", [])]
            token = page.get("nextPageToken", "")
            if not token:
                return tuple(names)

    def create(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a function and wait until it serves; return its resource; raises :class:`PlatformError`."""
        url = f"{self._v2}{self.settings.parent}/functions?functionId={quote(name)}"
        return self._finished(self._web.call("POST", url, json=dict(body)))

    def patch(self, name: str, body: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
        """Change fields of a function and wait until it serves; raises :class:`PlatformError`."""
        url = f"{self._url(name)}?updateMask={','.join(fields)}"
        return self._finished(self._web.call("PATCH", url, json=dict(body)))

    def delete(self, name: str) -> None:
        """Delete a function, if it is there, and wait until it is gone; raises :class:`PlatformError`."""
        answer = self._web.call("DELETE", self._url(name), also=(404,))
        if answer.status_code != 404:
            self._finished(answer)

    def invoke(self, function: FunctionSpec, params: Mapping[str, Any], url: str) -> Invocation:
        """Invoke the function at ``url``, wait for its answer, and tell what became of it.

        The platform's answer says nothing of durations, queues and cold starts; ``activation_id`` is the trace by which
        Cloud Logging finds the request.
        """
        trace = uuid.uuid4().hex
        headers = {TRACE: f"{trace}/1;o=1"}
        limit_s = function.timeout_s + self.settings.request_timeout_s
        try:
            auth = BearerIdentity(self.tokens, url)
            answer = self._open.send("POST", url, json=dict(params), headers=headers, auth=auth, timeout_s=limit_s)
        except requests.RequestException as error:
            return unanswered(error, trace)
        except PlatformError as error:
            return Invocation(None, None, "unauthorized", str(error), may_have_run=False)
        return _read(answer, trace)

    def _url(self, name: str) -> str:
        return f"{self._v2}{self.settings.parent}/functions/{quote(name)}"

    def _object(self, answer: requests.Response, *keys: str) -> dict[str, Any]:
        """Return the answer's object, which must have some keys."""
        value = json_of(answer)
        if not all(key in value for key in keys):
            found = answer.headers.get("content-type", "no content type")
            raise PlatformError(
                f"Google Cloud Functions at {self.api_host} answer with {found} without {', '.join(keys)}: check "
                "platform.api_host, which must be https://cloudfunctions.googleapis.com or null"
            )
        return value

    def _finished(self, answer: requests.Response) -> dict[str, Any]:
        """Wait for an operation's end and return its response."""
        operation = self._object(answer, "name")
        for _ in attempts(self.settings.deploy_timeout_s, POLL_S, POLL_LONGEST_S):
            if operation.get("done"):
                break
            operation = self._web.read(f"{self._v2}{operation['name']}")
        error = operation.get("error")
        if error:
            raise PlatformError(f"Google Cloud Functions at {self.api_host}: {error.get('message', error)}")
        if not operation.get("done"):
            limit_s = self.settings.deploy_timeout_s
            raise PlatformError(f"Google Cloud Functions: {operation['name']} is not done after {limit_s:g} s")
        return dict(operation.get("response") or {})


def _read(answer: requests.Response, trace: str) -> Invocation:
    said, status = json_of(answer), answer.status_code
    if status == 200 and said:
        return Invocation(trace, said)
    error = words(answer, said)
    if status == 200:
        kind = "no JSON answer"
        found = answer.headers.get("Content-Type", "no content type")
        error = f"answered with {found}, not with a function's JSON: {error}"
    elif status == 500 and "error" in said:
        kind = "application error"
    else:
        kind = _KINDS.get(status, f"HTTP {status}")
    ran = status not in _NOT_RUN
    return Invocation(trace if ran else None, None, kind, error or "no words", may_have_run=ran)
