"""Printing that never costs results: signs that a terminal cannot show are replaced, a closed output is told.

What a command has printed is never worth more than what it has written: the work goes on, and its exit code says that
somebody has not seen all of it.
"""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

UNSEEN = 1  # exit code of a command that succeeded, but could not print
_PLAIN = "plain signs"  # the error handler of our streams
_SIGNS = {
    "–": "-",
    "—": "-",
    "×": "x",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "·": ".",
    "▶": ">",
    "✓": "+",
    "✗": "x",
}


def guarded(main: Callable[[], int]) -> int:
    """Run a command whose printing can fail without stopping it; return its exit code."""
    out, err = Printed(sys.stdout), Printed(sys.stderr)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, err)):
        code = main()
        out.flush()
        if out.problem is not None:
            print(f"error: not all could be printed: {out.problem}; what was written to files is whole", file=err)
    return code or (UNSEEN if out.problem is not None else 0)


class Printed:
    """A stream of text, that goes nowhere once it has failed.

    Attributes
    ----------
    problem
        What the system said when it failed; ``None`` as long as it has not.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem: str | None = None
        codecs.register_error(_PLAIN, _plain)
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_PLAIN)

    def write(self, text: str) -> int:
        """Write some text, or nothing if that fails."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Let all that follows go nowhere, also what is still in buffers, which Python flushes when it ends."""
        self.problem = self.problem or error.strerror or str(error)
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(console: Console, text: str, style: str = "") -> None:
    """Print a message: on a terminal in lines that end between words, so that paths stay whole; elsewhere as it is."""
    width = console.width if console.is_terminal else sys.maxsize
    for line in text.splitlines():
        broken = wrap(line, width, drop_whitespace=True, break_long_words=False, break_on_hyphens=False)
        console.print("\n".join(broken), style=style, markup=False, highlight=False, soft_wrap=True)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding does not have: by something alike, without accents, or by a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign) or _without_accents(sign) for sign in signs), error.end


def _without_accents(sign: str) -> str:
    letters = "".join(part for part in unicodedata.normalize("NFKD", sign) if part.isascii())
    return letters or "?"
