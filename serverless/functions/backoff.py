"""How long to wait before trying again.

Waits double up to a limit, and are drawn at random around that (jitter), so that clients that were refused together do
not come back together. Shipped into functions: the standard library only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

LONGEST_S = 5.0


def attempts(
    patience_s: float,
    first_s: float,
    longest_s: float = LONGEST_S,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] | None = None,
) -> Iterator[int]:
    """Yield 1, 2, 3, ... and wait in between, until the patience is over; at least 1.

    Parameters
    ----------
    patience_s
        No attempt begins later than this many seconds after the first one began.
    first_s, longest_s
        The wait before the second attempt, doubled before each later one, and what it is never above; each is
        multiplied by a number drawn from [0.5, 1.5].

    Examples
    --------
    >>> list(attempts(patience_s=0, first_s=1))
    [1]
    """
    give_up_at = clock() + patience_s
    number = 1
    while True:
        yield number
        rest_s = jittered_s(number, first_s, longest_s)
        if clock() + rest_s > give_up_at:
            return
        (sleep or time.sleep)(rest_s)
        number += 1


def jittered_s(number: int, first_s: float, longest_s: float = LONGEST_S) -> float:
    """Return how many seconds to wait after attempt ``number``, counted from 1; see :func:`attempts`."""
    usual_s: float = min(longest_s, first_s * 2 ** min(number - 1, 30))
    return usual_s * random.uniform(0.5, 1.5)
