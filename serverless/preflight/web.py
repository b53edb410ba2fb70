"""Requests without credentials, to whoever a check asks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import requests

from serverless.platforms.web import authorities

WITHIN_S = 10.0  # to connect, and for an answer


def ask(method: Literal["GET", "HEAD"], url: str, ca_file: Path | None, *, verify: bool = True) -> requests.Response:
    """Send a request; redirects are not followed, and the environment's proxies and .netrc play no part.

    Raises
    ------
    requests.RequestException
        If there is no answer.
    """
    with requests.Session() as session:
        session.trust_env = False
        trusted = authorities(ca_file, verify)
        return session.request(method, url, timeout=WITHIN_S, verify=trusted, allow_redirects=False)
