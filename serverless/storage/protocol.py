"""What an object store is to this project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

Verb = Literal["GET", "PUT"]

MAX_KEY = 700  # S3 allows 1024 bytes, of which the prefix takes some
MAX_GRANT_S = 7 * 24 * 3600  # the longest that a presigned URL may live (AWS Signature Version 4)
_SEGMENT = r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")


class StoreError(RuntimeError):
    """The store refused, could not be reached, or was asked for something impossible."""


class ObjectMissing(StoreError):  # noqa: N818 - it says what is the matter
    """There is no such object."""


@dataclass(frozen=True)
class ObjectInfo:
    """An object's key and its size."""

    key: str
    size_bytes: int


class ObjectStore(Protocol):
    """Objects by key, all under the prefix of one run.

    A key is made of segments of letters, digits and ``._=-``, parted by ``/``; a segment does not begin with
    a dot. Prefixes are strings, as in S3: ``rounds/1`` is also a prefix of ``rounds/10/weights``.

    All methods raise :class:`StoreError` if the key is not allowed or the store fails.
    """

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, in place of what was there; readers see one or the other, whole."""

    def get(self, key: str) -> bytes:
        """Return an object; raises :class:`ObjectMissing` if it does not exist."""

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; raises :class:`ObjectMissing` if it does not exist."""

    def list(self, prefix: str = "") -> tuple[ObjectInfo, ...]:
        """Describe the objects whose keys begin with ``prefix``, in the order of their keys."""

    def delete_prefix(self, prefix: str = "") -> None:
        """Delete the objects whose keys begin with ``prefix``; by default all of the run's."""

    def grant(self, key: str, verb: Verb, expires_s: int) -> str:
        """Return a URL that allows this verb on this object for so many seconds, without credentials.

        Parameters
        ----------
        verb
            ``GET`` to read it, ``PUT`` to write it; see :mod:`serverless.functions.transfer`.
        expires_s
            From 1 to 604,800 (7 days).
        """


def check_key(key: str) -> str:
    """Return ``key``; raises :class:`StoreError` if it is not allowed."""
    if len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise StoreError(
            f"object key {key[:80]!r} is not allowed: use segments of letters, digits and ._=-, not beginning "
            f"with a dot, parted by single slashes, {MAX_KEY} characters at most"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return ``prefix``, which may be empty or end with a slash; raises :class:`StoreError` if it is not allowed."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def check_grant(verb: str, expires_s: int) -> None:
    """Raise :class:`StoreError` if no URL can be granted for ``verb`` and ``expires_s``."""
    if verb not in ("GET", "PUT"):
        raise StoreError(f"a URL cannot be granted for the verb {verb!r}: allowed are GET and PUT")
    if not 1 <= expires_s <= MAX_GRANT_S:
        raise StoreError(f"a URL cannot be granted for {expires_s} s: allowed are 1 to {MAX_GRANT_S} s (7 days)")
