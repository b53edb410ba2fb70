"""Random streams that are a function of *what* is drawn, never of *when* it is drawn.

Each use has its own stream, so that the order in which backends ask cannot change an answer: a batch order
depends on (seed, client, round) only, whichever process computes it and whoever finished before.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """The uses of randomness; the numbers are part of every result, never renumber them."""

    PARTITION = 1
    INITIAL_WEIGHTS = 2
    SELECTION = 3
    BATCH_ORDER = 4
    POISONERS = 5
    POISON = 6


def generator(seed: int, stream: Stream, *coordinates: int) -> np.random.Generator:
    """Return the generator of one draw.

    Parameters
    ----------
    seed
        The run's seed, >= 0.
    stream
        What is drawn.
    coordinates
        Where in the run: a round, a client, ... (each >= 0).
    """
    return np.random.default_rng(np.random.SeedSequence([seed, int(stream), *coordinates]))
