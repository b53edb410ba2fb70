"""Requests to OpenWhisk's REST API: one session per thread, the key, and what is sent again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
import urllib3

from serverless.functions.backoff import attempts
from serverless.platforms.openwhisk.config import OpenWhiskSettings
from serverless.platforms.openwhisk.records import json_of
from serverless.platforms.protocol import PlatformError

_BACKOFF_S = 0.2  # before a request is sent again
_PASSING = (429, 502, 503, 504)


@dataclass
class Rest:
    """One namespace of a deployment; safe to use from several threads. See :class:`OpenWhiskClient`."""

    api_host: str
    auth: str = field(repr=False)
    settings: OpenWhiskSettings
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def call(self, verb: str, path: str, *, also: tuple[int, ...] = (), json: Any = None) -> requests.Response:
        """Send a request that may be sent twice, and must succeed.

        Refused connections, lost answers and a busy gateway's are got over for ``request_timeout_s``.

        Raises
        ------
        PlatformError
            If the platform cannot be reached, or answers anything but success or one of ``also``.
        """
        answer = self._patiently(verb, path, json)
        if answer.ok or answer.status_code in also:
            return answer
        hint = f"; check the key in ${self.settings.auth_env}" if answer.status_code in (401, 403) else ""
        said = words(answer, json_of(answer))
        raise PlatformError(f"OpenWhisk at {self.api_host}: {verb} {path}: {answer.status_code} {said}{hint}")

    def _patiently(self, verb: str, path: str, json: Any) -> requests.Response:
        answer, problem = None, None
        for _ in attempts(self.settings.request_timeout_s, _BACKOFF_S):
            try:
                answer, problem = self.send(verb, path, json=json), None
            except requests.exceptions.SSLError as error:
                problem = error
                break  # a certificate does not become good by waiting
            except requests.RequestException as error:
                problem = error
            if problem is None and answer is not None and answer.status_code not in _PASSING:
                return answer
        if problem is None and answer is not None:
            return answer
        kind = type(problem).__name__
        raise PlatformError(f"OpenWhisk at {self.api_host} cannot be reached ({kind}): {_advice(problem)}") from problem

    def send(self, verb: str, path: str, *, json: Any = None) -> requests.Response:
        """Send a request once, whatever the answer; raises :class:`requests.RequestException` if there is none."""
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


def is_unsent(error: requests.RequestException) -> bool:
    """Whether no connection came about, so that the platform cannot have seen the request."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def words(answer: requests.Response, said: Mapping[str, Any]) -> str:
    """Return the platform's own words for an error."""
    return str(said.get("error") or answer.text[:200])


def _advice(error: requests.RequestException | None) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted; name the PEM file of its authority with platform.ca_file=PATH"
    return "check platform.api_host, and that the deployment runs"
