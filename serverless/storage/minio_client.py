"""The ``minio`` SDK, set up: credentials from the environment, who is trusted, and what is sent again."""

from __future__ import annotations

from collections.abc import Mapping

import certifi
import urllib3
from minio import Minio

from machine.credentials import is_variable
from serverless.functions.backoff import LONGEST_S
from serverless.functions.http_limits import Pools
from serverless.storage.protocol import StoreError
from serverless.storage.settings import MinioSettings

BACKOFF_S = 0.2  # before a request is sent again, doubled before each later time


def connect(settings: MinioSettings, endpoint: str, environ: Mapping[str, str]) -> Minio:
    """Return a client; no request is sent yet.

    Raises
    ------
    StoreError
        If a credential, the authority's file or the form of ``endpoint`` is missing or wrong.
    """
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise StoreError(f"store.ca_file={settings.ca_file}: no such file; name a PEM file, or null for certifi's")
    retries = urllib3.Retry(
        total=settings.retries,
        backoff_factor=BACKOFF_S,
        backoff_max=LONGEST_S,
        backoff_jitter=BACKOFF_S,
        status_forcelist=(429, 500, 502, 503, 504, 507),
        allowed_methods=None,  # every request of ours may be sent twice, the POST that deletes too
        raise_on_status=False,
        respect_retry_after_header=False,  # a server must not decide how long a run hangs
    )
    pool = Pools(
        maxsize=64,
        timeout=urllib3.Timeout(connect=settings.timeout_s, read=settings.timeout_s),
        retries=retries,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file or certifi.where()),
    )
    access_key = _credential("access_key_env", settings.access_key_env, environ)
    secret_key = _credential("secret_key_env", settings.secret_key_env, environ)
    try:
        return Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=settings.secure,
            region=settings.region,
            http_client=pool,
        )
    except ValueError as error:
        raise StoreError(
            f"store.endpoint={endpoint!r} is not allowed: {error}. Give host:port without a scheme, and "
            f"store.secure=true for HTTPS"
        ) from error


def _credential(setting: str, variable: str, environ: Mapping[str, str]) -> str:
    if not is_variable(variable):
        raise StoreError(  # the value is not shown: it may be the credential itself
            f"store.{setting} must be the name of an environment variable (capitals, digits, _), not a credential"
        )
    if not environ.get(variable):
        raise StoreError(
            f"the environment variable {variable} is not set: export the credential of the object store in it, "
            f"or name another variable with store.{setting}=NAME"
        )
    return environ[variable]
