"""What a target of fuzzing is: a reader of foreign bytes, how it may refuse them, and bytes to begin with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hypothesis import strategies as st

_TOKEN = re.compile(rb'"[^"]*"|-?[\w.]+')


@dataclass(frozen=True)
class Target:
    """A reader of bytes that others made.

    Parameters
    ----------
    read
        Reads any bytes, and checks what it made of them.
    refusals
        The errors by which it may refuse them; every other one is a finding.
    seeds
        Makes bytes that the reader takes, for the fuzzer to change.
    words
        Parts of the format that a fuzzer would need long to find.
    """

    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[str, ...] = ()

    def attempt(self, data: bytes) -> None:
        """Read the bytes; an error that is no refusal comes out."""
        try:
            self.read(data)
        except self.refusals:
            return

    def examples(self) -> st.SearchStrategy[bytes]:
        """Return a strategy: any bytes, seeds with bytes replaced, and seeds with a word or a number replaced."""
        seeds, words = st.sampled_from(sorted(self.seeds())), st.binary(max_size=9)
        if self.words:
            words |= st.sampled_from([word.encode() for word in self.words])
        changed = st.builds(_changed, seeds, st.floats(0, 1), st.integers(0, 9), words)
        return st.binary(max_size=300) | changed | st.builds(_swapped, seeds, st.integers(0, 999), words)


def _changed(seed: bytes, where: float, length: int, put: bytes) -> bytes:
    """Replace ``length`` bytes somewhere in the seed."""
    start = round(where * len(seed))
    return seed[:start] + put + seed[start + length :]


def _swapped(seed: bytes, which: int, put: bytes) -> bytes:
    """Replace a text in quotes, or a run of letters and digits."""
    found = list(_TOKEN.finditer(seed))
    if not found:
        return put
    start, end = found[which % len(found)].span()
    return seed[:start] + put + seed[end:]
