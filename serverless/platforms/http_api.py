"""Requests to a platform's API: one session per thread, credentials, what is sent again, and what errors say."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.auth import AuthBase

from machine.foreign_texts import plain
from machine.json_values import read_json
from serverless.functions.backoff import attempts
from serverless.functions.http_limits import ask, bounded_session
from serverless.platforms.protocol import Invocation, PlatformError

BACKOFF_S = 0.2  # before a request is sent again
_PASSING = (429, 502, 503, 504)
_SHOWN = 200  # characters of somebody's page


@dataclass(frozen=True)
class Web:
    """One API of one deployment; safe to use from several threads.

    Parameters
    ----------
    platform, address
        As errors name them.
    auth
        What goes with every request; never shown.
    verify
        PEM file of the authorities to trust, or whether those of certifi are asked at all.
    request_timeout_s
        Seconds to connect, to wait for an answer, and to ask again where that does no harm.
    hint
        What to do about an answer of 401 or 403.
    """

    platform: str
    address: str
    auth: AuthBase | tuple[str, str] | None = field(repr=False)
    verify: bool | str
    request_timeout_s: float
    hint: str
    _local: threading.local = field(default_factory=threading.local, repr=False, compare=False)

    def call(self, verb: str, url: str, *, also: tuple[int, ...] = (), **options: Any) -> requests.Response:
        """Send a request that may be sent twice, and must succeed.

        Refused connections, lost answers and a busy front's are got over for ``request_timeout_s``.

        Raises
        ------
        PlatformError
            If the platform cannot be reached, or answers anything but success or one of ``also``.
        """
        answer = self._patiently(verb, url, options)
        if answer.ok or answer.status_code in also:
            return answer
        what = f"{verb} {url.removeprefix(self.address).partition('?')[0]}"
        hint = f"; {self.hint}" if answer.status_code in (401, 403) else ""
        said = words(answer, json_of(answer))
        raise PlatformError(f"{self.platform} at {self.address}: {what}: {answer.status_code} {said}{hint}")

    def read(self, url: str, kind: type[Any] = dict) -> Any:
        """Return the JSON value at ``url``; raises :class:`PlatformError`, see :meth:`call` and :meth:`value`."""
        return self.value(self.call("GET", url), url, kind)

    def value(self, answer: requests.Response, url: str, kind: type[Any] = dict) -> Any:
        """Return the JSON value that ``url`` was answered with.

        Raises
        ------
        PlatformError
            If the answer is something else, such as somebody's HTML page.
        """
        try:
            value = read_json(answer.content)
        except ValueError:
            value = None
        if isinstance(value, kind):
            return value
        found = answer.headers.get("content-type", "no content type")
        raise PlatformError(
            f"{self.platform} at {self.address} answers GET {url.removeprefix(self.address)} with {found}, not with "
            f"the JSON of its API: check platform.api_host, which must be the address of {self.platform}'s API itself"
        )

    def send(self, verb: str, url: str, *, timeout_s: float | None = None, **options: Any) -> requests.Response:
        """Send a request once, whatever the answer; raises :class:`requests.RequestException` if there is none."""
        time_outs = (self.request_timeout_s, timeout_s or self.request_timeout_s)
        return ask(self._session(), verb, url, within_s=sum(time_outs), timeout=time_outs, **options)

    def _patiently(self, verb: str, url: str, options: dict[str, Any]) -> requests.Response:
        answer: requests.Response | None = None
        problem: requests.RequestException | None = None
        for _ in attempts(self.request_timeout_s, BACKOFF_S):
            try:
                answer, problem = self.send(verb, url, **options), None
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
        raise PlatformError(
            f"{self.platform} at {self.address} cannot be reached ({kind}): {_advice(problem)}"
        ) from problem

    def _session(self) -> requests.Session:
        """One session per thread: connections stay open, and no two threads share one."""
        if not hasattr(self._local, "session"):
            session = bounded_session()
            session.auth, session.verify = self.auth, self.verify
            self._local.session = session
        session_: requests.Session = self._local.session
        return session_


def json_of(answer: requests.Response) -> dict[str, Any]:
    """Return the answer's JSON object, an empty one if it is something else."""
    try:
        value = read_json(answer.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def words(answer: requests.Response, said: dict[str, Any]) -> str:
    """Return the platform's own words for an error."""
    error = said.get("error")
    told = error.get("message") if isinstance(error, dict) else error
    return plain(str(told or answer.content[:_SHOWN].decode("utf-8", "replace")))


def authorities(ca_file: Path | None, verify_tls: bool) -> bool | str:
    """Return what a session verifies certificates by: a private authority's file, certifi's authorities, or nothing."""
    return str(ca_file) if ca_file else verify_tls


def unanswered(error: requests.RequestException, activation_id: str | None) -> Invocation:
    """Tell what became of an invocation that had no answer; it has its id only where it may have run."""
    told = plain(f"{type(error).__name__}: {error}")
    if is_unsent(error):
        return Invocation(None, None, "unreachable", told, may_have_run=False)
    return Invocation(activation_id, None, "no answer", told)


def is_unsent(error: requests.RequestException) -> bool:
    """Whether no connection came about, so that the platform cannot have seen the request."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def _advice(error: requests.RequestException | None) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted; name the PEM file of its authority with platform.ca_file=PATH"
    return "check platform.api_host, and that the deployment runs"
