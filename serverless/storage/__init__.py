"""Where weights and data wait between the keeper and its functions."""

from __future__ import annotations

import os
from collections.abc import Mapping

from serverless.storage.protocol import ObjectInfo, ObjectMissing, ObjectStore, StoreError, Verb
from serverless.storage.settings import DirectorySettings, MinioSettings, StoreSettings

__all__ = [
    "DirectorySettings",
    "MinioSettings",
    "ObjectInfo",
    "ObjectMissing",
    "ObjectStore",
    "StoreError",
    "StoreSettings",
    "Verb",
    "address",
    "open_store",
]


def address(settings: StoreSettings) -> str:
    """Return where functions reach a store: ``file://`` and its folder, or scheme, host and port."""
    if isinstance(settings, DirectorySettings):
        return settings.root.absolute().resolve().as_uri()
    scheme, usual = ("https", ":443") if settings.secure else ("http", ":80")
    return f"{scheme}://{(settings.functions_endpoint or settings.endpoint).removesuffix(usual)}"  # as it is signed


def open_store(settings: StoreSettings, prefix: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """Open a store for one run; it sees only what lies under ``prefix``.

    Parameters
    ----------
    prefix
        A key (see :class:`ObjectStore`), such as ``runs/<run_id>``.
    environ
        Where the credentials that the settings name are looked up.

    Raises
    ------
    StoreError
        If the store cannot be reached or used with these settings.
    """
    # Each implementation is imported only if it is used: the SDK takes a third of a second.
    if isinstance(settings, MinioSettings):
        from serverless.storage.minio import open_minio  # noqa: PLC0415

        return open_minio(settings, prefix, environ)
    from serverless.storage.directory import open_directory  # noqa: PLC0415

    return open_directory(settings, prefix)
