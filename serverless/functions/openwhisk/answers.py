"""What the functions have in common on OpenWhisk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INVOCATION = "invocation"  # the controller's name for a call, in its parameters and in the record that it leaves


def named(args: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function's answer with the name of the call that it was for.

    A controller whose connection breaks never gets the activation's id. It finds the record by this name, so that work
    that was done is not done again.
    """
    return {**result, INVOCATION: args.get(INVOCATION)}
