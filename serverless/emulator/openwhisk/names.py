"""The names that an action, a package or a namespace may have."""

from __future__ import annotations

import re

from serverless.emulator.openwhisk import messages
from serverless.emulator.rest import ApiError

_NAME = re.compile(r"\w|\w[\w@ .&-]{0,254}[\w@.&-]", re.ASCII)
_MAX_NAME = 256


def is_name(text: str) -> bool:
    """Whether OpenWhisk takes ``text`` for a name."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> str:
    """Return ``text`` if it is a name.

    Raises
    ------
    ApiError
        400 if it is none.
    """
    if len(text) > _MAX_NAME:
        raise ApiError(400, f"Name segement longer than allowed: {len(text)} > {_MAX_NAME}.")
    if not is_name(text):
        raise ApiError(400, messages.ILLEGAL_NAME)
    return text
