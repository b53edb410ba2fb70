"""Who we are to Google: access tokens for its API, identity tokens for functions. Never shown, never logged."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
from requests.auth import AuthBase

from serverless.functions.http_limits import Deadline, bounded_session
from serverless.platforms.protocol import PlatformError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_WITHIN_S = 60.0  # for a token


class Tokens(Protocol):
    """Gives out valid bearer tokens; called from several threads at once."""

    def access(self) -> str:
        """Return a token for Google's APIs."""

    def identity(self, audience: str) -> str:
        """Return a token that says to ``audience``, a function's URL, who calls."""


@dataclass(frozen=True)
class OneToken:
    """The embedded server's key, for everything."""

    key: str = field(repr=False)

    def access(self) -> str:
        """See :class:`Tokens`."""
        return self.key

    def identity(self, audience: str) -> str:
        """See :class:`Tokens`."""
        return self.key


class GoogleTokens:
    """Tokens by google-auth, from the credentials that it finds (application default credentials).

    Raises
    ------
    PlatformError
        If google-auth is not installed, or finds no credentials.
    """

    def __init__(self, auth_env: str) -> None:
        auth = _google_auth()
        self._auth = auth
        self._request = auth["Request"](bounded_session())
        self._guard = threading.Lock()
        self._identities: dict[str, Any] = {}
        try:
            self._credentials, _ = auth["default"](scopes=[SCOPE])
        except auth["errors"] as error:
            raise PlatformError(
                f"no credentials for Google Cloud ({type(error).__name__}): set ${auth_env} to the path of a service "
                "account's key file"
            ) from None  # the library's text may quote the file

    def access(self) -> str:
        """See :class:`Tokens`."""
        return self._fresh(self._credentials)

    def identity(self, audience: str) -> str:
        """See :class:`Tokens`; raises :class:`PlatformError` if these credentials can give none."""
        if audience not in self._identities:
            try:
                with Deadline(_WITHIN_S):
                    self._identities[audience] = self._auth["identity"](audience, self._request)
            except self._auth["errors"] as error:
                raise PlatformError(
                    f"these credentials give no identity tokens ({type(error).__name__}): use a service account's"
                ) from None
        return self._fresh(self._identities[audience])

    def _fresh(self, credentials: Any) -> str:
        with self._guard:
            if not credentials.valid:
                try:
                    with Deadline(_WITHIN_S):
                        credentials.refresh(self._request)
                except self._auth["errors"] as error:
                    raise PlatformError(
                        f"Google gives no token for these credentials ({type(error).__name__})"
                    ) from None
            return str(credentials.token)


def _google_auth() -> dict[str, Any]:
    try:
        import google.auth  # noqa: PLC0415 - an extra, and not for the embedded server
        from google.auth import exceptions  # noqa: PLC0415
        from google.auth.transport.requests import Request  # noqa: PLC0415
        from google.oauth2 import id_token  # noqa: PLC0415
    except ImportError as error:
        raise PlatformError(
            "Google Cloud Functions need the package google-auth: pip install 'serverless-fl-bench[google]'"
        ) from error
    return {
        "default": google.auth.default,
        "identity": id_token.fetch_id_token_credentials,
        "Request": Request,
        "errors": exceptions.GoogleAuthError,
    }


@dataclass(frozen=True)
class Bearer(AuthBase):
    """Puts an access token on a request."""

    tokens: Tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self.tokens.access()}"
        return request


@dataclass(frozen=True)
class BearerIdentity(AuthBase):
    """Puts an identity token for one audience on a request."""

    tokens: Tokens
    audience: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self.tokens.identity(self.audience)}"
        return request
