"""JSON from outside, read so that nothing but :class:`ValueError` can come of it.

It is shipped into functions, so it imports the standard library only.
"""

from __future__ import annotations

import json
from typing import Any


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
