"""Whether a deployment can be reached: its name, its port, its certificate, its API, and its key."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import certifi
import requests

from machine.credentials import is_public_key
from machine.foreign_texts import plain
from serverless.functions.http_limits import ask as bounded
from serverless.functions.http_limits import bounded_session
from serverless.platforms.http_api import authorities, json_of
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.preflight.findings import Finding, failed, ok, warning

WITHIN_S = 10.0  # to connect, and for an answer


ADDRESS, CERTIFICATE, API, KEY = "address", "certificate", "API", "key"
_WITHIN_S = 5.0


def reach(client: OpenWhiskClient) -> Iterator[Finding]:
    """Yield what each step towards the API found; the first failure is the last."""
    parts = urlsplit(client.api_host)
    for step in (_address, _certificate, _api, _key):
        finding = step(parts, client)
        yield finding
        if finding.verdict == "failed":
            return


def _address(parts: SplitResult, _: OpenWhiskClient) -> Finding:
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except OSError as error:
        return failed(ADDRESS, f"{host} has no address: {error.strerror or error}", "check platform.api_host, and DNS")
    try:
        with socket.create_connection((host, port), _WITHIN_S):
            return ok(ADDRESS, f"{host} is {', '.join(addresses)}, and port {port} answers")
    except OSError as error:
        found = f"port {port} of {host} ({', '.join(addresses)}) cannot be reached: {error.strerror or error}"
        return failed(ADDRESS, found, "check the port in platform.api_host, that the deployment runs, and firewalls")


def _certificate(parts: SplitResult, client: OpenWhiskClient) -> Finding:
    host, settings = parts.hostname or "", client.settings
    if parts.scheme != "https":
        if _is_loopback(host):
            return ok(CERTIFICATE, "plain HTTP on this machine's loopback")
        advice = "let the deployment serve HTTPS, and begin platform.api_host with https://"
        return warning(CERTIFICATE, "plain HTTP: the key and all parameters can be read on the way", advice)
    if not settings.verify_tls:
        found = "not verified (platform.verify_tls=false): anybody in between can pose as the platform"
        return warning(CERTIFICATE, found, "name its authority's PEM file with platform.ca_file, and verify")
    return _verified(host, parts.port or 443, settings)


def _verified(host: str, port: int, settings: OpenWhiskSettings) -> Finding:
    authorities = str(settings.ca_file) if settings.ca_file else certifi.where()
    context = ssl.create_default_context(cafile=authorities)
    try:
        with (
            socket.create_connection((host, port), _WITHIN_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return ok(CERTIFICATE, f"{secured.version()}, signed by an authority in {authorities}")
    except ssl.SSLCertVerificationError as error:
        advice = "name the PEM file of its authority with platform.ca_file=PATH, and the host as the certificate does"
        return failed(CERTIFICATE, f"is not trusted: {error.verify_message}", advice)
    except OSError as error:
        return failed(CERTIFICATE, f"no TLS there: {error}", "check the scheme and the port in platform.api_host")


def _api(_: SplitResult, client: OpenWhiskClient) -> Finding:
    url = f"{client.api_host}/api/v1"
    try:
        answer = ask("GET", url, client.settings.ca_file, verify=client.settings.verify_tls)
        description = plain(str(json_of(answer).get("description", ""))) if answer.ok else f"{answer.status_code}"
    except requests.RequestException as error:
        description = type(error).__name__
    if "OpenWhisk" not in description:
        found = f"{url} does not answer as OpenWhisk does ({description})"
        return failed(API, found, "check that platform.api_host is the API host of an OpenWhisk")
    return ok(API, f"{description} at {url}")


def _key(_: SplitResult, client: OpenWhiskClient) -> Finding:
    variable = client.settings.auth_env
    answer = client.call("GET", "actions?limit=1", also=(401, 403))
    if not answer.ok:
        advice = f"set ${variable} to the uuid:key of platform.namespace={client.settings.namespace}"
        return failed(KEY, f"is refused ({answer.status_code})", advice)
    if is_public_key(client.auth) and not _is_loopback(urlsplit(client.api_host).hostname or ""):
        found = "is accepted, but it is the guest's that OpenWhisk publishes: everybody knows it"
        return warning(KEY, found, f"give the deployment a user of its own, and set ${variable} to its key")
    return ok(KEY, f"is accepted in namespace {client.settings.namespace}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask(method: Literal["GET", "HEAD"], url: str, ca_file: Path | None, *, verify: bool = True) -> requests.Response:
    """Send a request; redirects are not followed, and the environment's proxies and .netrc play no part.

    Raises
    ------
    requests.RequestException
        If there is no answer.
    """
    with bounded_session() as session:
        trusted = authorities(ca_file, verify)
        return bounded(session, method, url, within_s=2 * WITHIN_S, timeout=WITHIN_S, verify=trusted)
