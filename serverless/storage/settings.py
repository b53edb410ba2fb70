"""Which object store, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DirectorySettings:
    """A folder of this machine, as the object store of functions that run on this machine.

    Parameters
    ----------
    root
        The folder; made if missing.
    """

    root: Path


@dataclass(frozen=True)
class MinioSettings:
    """A MinIO server, or another that speaks S3.

    Parameters
    ----------
    endpoint
        ``host:port`` as the keeper reaches it, without a scheme.
    bucket
        Made if missing.
    region
        Must be the server's (MinIO's own default is ``us-east-1``); given, so that the client need not ask for it.
    secure
        HTTPS; ``False`` is plain HTTP.
    ca_file
        PEM file of the authorities to trust; ``None`` trusts certifi's. Functions have theirs from
        :class:`serverless.platforms.openwhisk.settings.OpenWhiskSettings`.
    access_key_env, secret_key_env
        Names of the environment variables that hold the credentials. Credentials are never in a configuration.
    timeout_s
        Seconds to connect, and between two pieces of an answer.
    retries
        How often a request is sent again after a connection error, an answer of 429, 500, 502, 503, 504 or 507 (full),
        or one that was damaged; the waits grow to 5 s, so that 8 retries get over some 20 s.
    functions_endpoint
        ``host:port`` as the functions reach it, where that differs (a cluster's inside name); the URLs that
        are granted are for it.
    """

    endpoint: str = "127.0.0.1:9000"
    bucket: str = "serverless-fl"
    region: str = "us-east-1"
    secure: bool = False
    ca_file: Path | None = None
    access_key_env: str = "MINIO_ACCESS_KEY"
    secret_key_env: str = "MINIO_SECRET_KEY"  # noqa: S105 - a name, not a secret
    timeout_s: float = 10.0
    retries: int = 8
    functions_endpoint: str | None = None


StoreSettings = DirectorySettings | MinioSettings
