"""Requests to OpenWhisk's REST API: its addresses, and the key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from serverless.platforms.openwhisk.config import OpenWhiskSettings
from serverless.platforms.web import Web, authorities


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

    def send(self, verb: str, path: str, *, json: Any = None) -> requests.Response:
        """Send a request once, whatever the answer; raises :class:`requests.RequestException` if there is none."""
        return self._web.send(verb, self._namespace + path, json=json, timeout_s=self._limit_s)
