"""The error of a wrong configuration, and the lines that explain it to its author."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 100  # characters of a value that are shown


class ConfigError(ValueError):
    """A configuration that cannot be run; each problem is one line for people."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def shown(value: object) -> str:
    """Write a value as one would on the command line, text in quotes.

    Examples
    --------
    >>> shown("adamm"), shown(None), shown(["flower", "inprocess"])
    ("'adamm'", 'null', '[flower,inprocess]')
    """
    if isinstance(value, str):
        return repr(brief(value))
    if isinstance(value, list):
        return brief(f"[{','.join(str(item) for item in value)}]")
    return brief(json.dumps(value, default=str))


def disk_problem(out: object, error: OSError) -> str:
    """Return the line for results that cannot be written: the key, its value, the file, and what the system says."""
    where = f"{error.filename}: " if error.filename else ""
    return f"out={out}: {where}{error.strerror or error}; make room or write access there, or name another folder"


def brief(text: str) -> str:
    """Return what somebody wrote as one short line of printable signs.

    Examples
    --------
    >>> brief("a" * 500) == "a" * 100 + "... (500 characters)"
    True
    >>> brief("two" + chr(10) + "lines") == "two" + repr(chr(10))[1:-1] + "lines"
    True
    """
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def wrong(key: str, value: object, allowed: str) -> str:
    """Return the line that names a key, its value and what is allowed."""
    return f"{key}={shown(value)}: {allowed}"


def one_of(key: str, value: object, names: Iterable[str]) -> str:
    """Return the line for a value that is not among the names that are allowed."""
    names = sorted(names)
    return wrong(key, value, f"allowed are {', '.join(names)}{did_you_mean(str(value), names)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean ...?)`` for a word that looks like a known one, else nothing.

    A dotted key is also found by its last part: ``learning_rate`` means ``optimizer.learning_rate``.
    """
    known = list(known)
    by_end = [name for name in known if name.rpartition(".")[2] == word.rpartition(".")[2]]
    close = by_end or get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        ends = {name.rpartition(".")[2]: name for name in known}
        close = [ends[end] for end in get_close_matches(word.rpartition(".")[2], ends, n=1, cutoff=0.7)]
    return f" (did you mean {' or '.join(repr(name) for name in close[:2])}?)" if close else ""
