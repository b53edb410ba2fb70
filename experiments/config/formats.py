"""What text may be, declared beside its key: names that others check late, and addresses that may hide a credential."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from experiments.config.bounds import Must
from experiments.config.errors import wrong

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # with _, which names of containers have
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_HTTP = ("https://", "http://")


def _matches(pattern: str, allowed: str) -> Must:
    return Must(allowed, lambda text: re.fullmatch(pattern, text))


def _is_bucket(name: str) -> bool:
    """Whether S3 takes the name: docs.aws.amazon.com, "General purpose bucket naming rules"."""
    is_plain = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) is not None
    return is_plain and not re.fullmatch(r"[0-9.]+", name) and not re.search(r"\.\.|\.-|-\.", name)


Folder = Annotated[
    str,
    Must(
        "be a plain name of at most 100 characters, for a folder",
        lambda name: name.strip() and len(name.encode()) <= 100 and "/" not in name and not name.startswith("."),
    ),
]
Bucket = Annotated[str, Must("be 3 to 63 of a-z, 0-9, - and ., as S3 names buckets, and no IP address", _is_bucket)]
Region = Annotated[str, _matches(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", "be a region, such as us-east-1")]
Namespace = Annotated[
    str, _matches(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "be 1 to 63 of a-z, 0-9 and -, as Kubernetes names them")
]


@dataclass(frozen=True)
class Address:
    """The rule of an address. It never repeats what may be a credential in the wrong place.

    Parameters
    ----------
    has_scheme
        Whether it begins with ``https://`` or ``http://``; otherwise it is ``HOST`` or ``HOST:PORT`` alone.
    """

    has_scheme: bool

    def problems(self, key: str, value: str) -> Iterator[str]:
        """Yield the line for what is no address."""
        if "@" in value:
            yield f"{key}: an address must not contain credentials (NAME:SECRET@HOST); they come from the environment"
        elif self.has_scheme and not value.startswith(_HTTP):
            yield wrong(key, value, "must begin with https:// (or http://, which protects nothing)")
        elif not self.has_scheme and "//" in value:
            yield wrong(key, value, "must be HOST or HOST:PORT, without a scheme")
        elif not _has_possible_port(value):
            yield wrong(key, value, "its port must be a number from 1 to 65535")
        elif not _has_possible_host(value, self.has_scheme):
            form = "https://HOST:PORT" if self.has_scheme else "HOST or HOST:PORT"
            yield wrong(key, value, f"must be {form}, with the host's name or IP address")


Url = Annotated[str, Address(has_scheme=True)]
HostPort = Annotated[str, Address(has_scheme=False)]


def _has_possible_port(address: str) -> bool:
    try:
        return urlsplit(address if "//" in address else f"//{address}").port != 0  # none at all is the scheme's
    except ValueError:
        return False


def _has_possible_host(address: str, has_scheme: bool) -> bool:
    parts = urlsplit(address if has_scheme else f"//{address}")
    if parts.query or parts.fragment or (parts.path and not has_scheme) or not parts.hostname:
        return False
    if _HOST.fullmatch(parts.hostname):
        return len(parts.hostname) <= 253
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        return False
    return True
