"""JSON from outside, read so that nothing but :class:`ValueError` can come of it.

It is shipped into functions, so it imports the standard library only.
"""

from __future__ import annotations

import json
from typing import Any, TypeGuard

LARGEST_NUMBER = 1e15  # of seconds, moments and losses: far above what is real, and sums of such stay finite


def read_json(data: str | bytes) -> Any:
    """Return the JSON value that ``data`` spells.

    Raises
    ------
    ValueError
        If it is none, is nested deeper than Python reads, or holds a number with more digits than Python reads.

    Examples
    --------
    >>> read_json(b"[1, null]")
    [1, None]
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number within what the tables take; an integer may be too large even to become a float.

    Examples
    --------
    >>> [is_number(value) for value in (1, 0.5, 10**400, float("nan"), True, "1", None)]
    [True, True, False, False, False, False, False]
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER
