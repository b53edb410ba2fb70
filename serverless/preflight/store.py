"""Whether the store can be used from here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from metrics.collect.units import memory
from serverless.preflight.findings import Finding, failed, ok, warning
from serverless.storage import DirectorySettings, ObjectStore, StoreError, StoreSettings, open_store

STORE = "store, here"
_CONTENT = b"\0" * 1_000_000  # about half of a model's weights


@dataclass(frozen=True)
class Opened:
    """A store that can be used, or ``None``, and what was found."""

    store: ObjectStore | None
    finding: Finding


def open_here(settings: StoreSettings, prefix: str) -> Opened:
    """Open the store under a prefix of its own, and put, get and delete an object."""
    try:
        store = open_store(settings, prefix)
        store.put("preflight/here", _CONTENT)
        same = store.get("preflight/here") == _CONTENT
        store.delete_prefix("preflight/here")
    except StoreError as error:
        return Opened(None, failed(STORE, str(error), "the experiment's weights travel through it: see there"))
    if not same:
        return Opened(None, failed(STORE, "an object did not come back as it was put", "look at the store's health"))
    return Opened(store, _judge(settings))


def _judge(settings: StoreSettings) -> Finding:
    done = f"an object of {memory(len(_CONTENT))} was put, read and deleted"
    if isinstance(settings, DirectorySettings):
        return ok(STORE, f"{done}, in a folder of this machine")
    endpoints = {settings.endpoint, settings.functions_endpoint or settings.endpoint}
    if settings.secure or all(_is_loopback(endpoint) for endpoint in endpoints):
        return ok(STORE, f"{done}, at {settings.endpoint}")
    found = f"{done}, by plain HTTP: weights, data and granted URLs can be read on the way"
    return warning(STORE, found, "let the store serve HTTPS, and set store.secure=true")


def _is_loopback(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
