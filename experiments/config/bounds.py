"""What a value may be, declared beside its key: ``rounds: Count``. One walk finds all values that are not allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints

from experiments.config.errors import one_of, wrong


@dataclass(frozen=True)
class Must:
    """A rule, and the words for it."""

    allowed: str
    is_met: Callable[[Any], object]

    def problems(self, key: str, value: Any) -> Iterator[str]:
        """Yield the line for a value that breaks the rule."""
        if not self.is_met(value):
            yield wrong(key, value, f"must {self.allowed}")


class Rule(Protocol):
    """What is declared beside a key."""

    def problems(self, key: str, value: Any) -> Iterator[str]:
        """Yield a line for a value that breaks the rule."""


@dataclass(frozen=True)
class OneOf:
    """The rule that a name is one of these."""

    names: tuple[str, ...]

    def problems(self, key: str, value: str) -> Iterator[str]:
        """Yield the line for another name."""
        if value not in self.names:
            yield one_of(key, value, self.names)


def between(least: int, most: int, then: str = "") -> Must:
    """Return the rule of a range with both ends; in messages ``then`` follows it. NaN is in no range."""
    return Must(f"be from {least:,} to {most:,}{then}", lambda number: least <= number <= most)


def above(least: int, most: int, then: str = "") -> Must:
    """Return the rule of a range without its lower end."""
    return Must(f"be more than {least:,} and at most {most:,}{then}", lambda number: least < number <= most)


WEEK_S = 7 * 24 * 3600  # no single wait is longer; operating systems and libraries cannot wait for years
Count = Annotated[int, between(1, 1_000_000)]
Positive = Annotated[float, above(0, 1_000_000)]
Seconds = Annotated[float, above(0, WEEK_S, " seconds")]
Delay = Annotated[float, between(0, 3600, " seconds")]
Megabytes = Annotated[int, between(1, 1 << 24, " MB")]
FunctionMegabytes = Annotated[int, between(128, 1 << 20, " MB; platforms allow no function less")]
Amount = Annotated[float, between(0, 10**12)]
Share = Annotated[float, between(0, 1)]
# Of any text: it becomes a part of paths, commands, requests and tables. 4096: PATH_MAX of Linux.
TEXT = Must(
    "be one line of printable characters, 4,095 bytes at most",
    lambda text: text.isprintable() and len(text.encode(errors="surrogateescape")) < 4096,
)


def bound_problems(section: object) -> Iterator[str]:
    """Yield a line for each value of a section, and of the sections in it, that breaks a rule of its declaration."""
    for key, hint, value in _values(section):
        for rule in (*_rules(hint), *([TEXT] if isinstance(value, str) else [])):
            yield from rule.problems(key, value)


def malformed(section: object) -> Iterator[tuple[str, Any]]:
    """Yield each list with something else in it than its type says, and its key: OmegaConf lets lists in lists pass."""
    for key, hint, value in _values(section):
        kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if isinstance(value, list) and not _is_of(value, kind):
            yield key, value


def _values(section: object, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield key, type and value of all that is not null in a section and in the sections in it."""
    for name, hint in _hints(type(section)).items():  # type: ignore[arg-type] # for mypy, types have no hash
        key, value = prefix + name, getattr(section, name)
        entries = {f"{key}.{entry}": item for entry, item in value.items()} if isinstance(value, dict) else {key: value}
        for where, item in entries.items():
            if is_dataclass(item):
                yield from _values(item, f"{where}.")
            elif item is not None:
                yield where, hint, item


@cache
def _hints(schema: type) -> dict[str, Any]:
    return get_type_hints(schema, include_extras=True)


@cache
def _rules(hint: Any) -> tuple[Rule, ...]:
    parts = (hint, *get_args(hint))  # the second also finds the rules in ``Count | None``
    return tuple(rule for part in parts for rule in getattr(part, "__metadata__", ()))


def _is_of(value: object, kind: Any) -> bool:
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is_of(item, get_args(kind)[0]) for item in value)
    return isinstance(value, kind)
