"""Credentials: names of the variables they are in, the key that is public, and an environment without them.

A credential is in the environment of the processes that use it, and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HARMLESS = frozenset({"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "SSL_CERT_FILE", "TMPDIR", "TZ", "VIRTUAL_ENV"})
_HARMLESS_PREFIXES = ("FL_PROCESS_", "FL_TEST_", "LC_", "PYTHON")
# uuid:key of the guest in OpenWhisk's own set-ups (apache/openwhisk, ansible/files/auth.guest)
_PUBLIC_KEY_SHA256 = "9946cd023314ea5325f5c44ed5311d1b8e10310021b6bc04c4102c8b98f16384"


def is_variable(name: str) -> bool:
    """Whether ``name`` is the name of an environment variable (capitals, digits, _), as a credential is not."""
    return _VARIABLE.fullmatch(name) is not None


def is_public_key(auth: str) -> bool:
    """Whether an OpenWhisk key is the one that OpenWhisk publishes, which protects nothing."""
    return hashlib.sha256(auth.strip().encode()).hexdigest() == _PUBLIC_KEY_SHA256


def without_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a program needs to start: those with names that are known to be harmless.

    The user chooses the names of credentials, so that a list of forbidden names would miss some.
    """
    return {name: value for name, value in environ.items() if name in _HARMLESS or name.startswith(_HARMLESS_PREFIXES)}
