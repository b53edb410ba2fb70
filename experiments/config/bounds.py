"""What a value may be, declared beside its key: ``rounds: Count``. One walk finds all values that are not allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, Protocol, get_args, get_type_hints

from experiments.config.errors import one_of, wrong


class Rule(Protocol):
    """A rule for the value of one key."""

    def problems(self, key: str, value: Any, /) -> Iterator[str]:
        """Yield a line for each way in which a value breaks the rule."""


@dataclass(frozen=True)
class Bound:
    """A range of numbers, for a number or for each one of a list; neither infinity nor NaN is in any range.

    Parameters
    ----------
    least, most
        Both are in the range, unless it is ``open``: then ``least`` is not.
    unit, reason
        Follow the numbers in messages, with their own spaces and punctuation.
    """

    least: int
    most: int
    unit: str = ""
    open: bool = False
    reason: str = ""

    def problems(self, key: str, value: Any) -> Iterator[str]:
        """Yield the line for a number that is out of the range."""
        if not all(self._has(number) for number in (value if isinstance(value, list) else [value])):
            words = f"more than {self.least:,} and at most" if self.open else f"from {self.least:,} to"
            yield wrong(key, value, f"must be {words} {self.most:,}{self.unit}{self.reason}")

    def _has(self, number: float) -> bool:
        return (self.least < number if self.open else self.least <= number) and number <= self.most


@dataclass(frozen=True)
class OneOf:
    """Some names."""

    names: tuple[str, ...]

    def problems(self, key: str, value: Any) -> Iterator[str]:
        """Yield the line for a name that is not one of them."""
        if value not in self.names:
            yield one_of(key, value, self.names)


@dataclass(frozen=True)
class Must:
    """Any other rule, and the words for it."""

    allowed: str
    is_met: Callable[[Any], object]

    def problems(self, key: str, value: Any) -> Iterator[str]:
        """Yield the line for a value that does not meet the rule."""
        if not self.is_met(value):
            yield wrong(key, value, f"must {self.allowed}")


WEEK_S = 7 * 24 * 3600  # no single wait is longer; operating systems and libraries cannot wait for years
Count = Annotated[int, Bound(1, 1_000_000)]
Positive = Annotated[float, Bound(0, 1_000_000, open=True)]
Seconds = Annotated[float, Bound(0, WEEK_S, " seconds", open=True)]
Delay = Annotated[float, Bound(0, 3600, " seconds")]
Megabytes = Annotated[int, Bound(1, 1 << 24, " MB")]
FunctionMegabytes = Annotated[int, Bound(128, 1 << 20, " MB", reason="; platforms allow no function less")]
Amount = Annotated[float, Bound(0, 10**12)]
Share = Annotated[float, Bound(0, 1)]


def bound_problems(section: object, prefix: str = "") -> Iterator[str]:
    """Yield a line for each value of a section, and of the sections in it, that breaks a rule of its declaration."""
    for name, rules in _rules(type(section)):  # type: ignore[arg-type] # for mypy, types have no hash
        key, value = prefix + name, getattr(section, name)
        entries = {f"{key}.{entry}": item for entry, item in value.items()} if isinstance(value, dict) else {key: value}
        for where, item in entries.items():
            if is_dataclass(item):
                yield from bound_problems(item, f"{where}.")
            elif item is not None:
                for rule in rules:
                    yield from rule.problems(where, item)


@cache
def _rules(schema: type) -> tuple[tuple[str, tuple[Rule, ...]], ...]:
    hints = get_type_hints(schema, include_extras=True)
    return tuple((name, tuple(_annotated(hint))) for name, hint in hints.items())


def _annotated(hint: Any) -> Iterator[Rule]:
    for part in (hint, *get_args(hint)):  # the second also finds the rules in ``Count | None``
        yield from getattr(part, "__metadata__", ())
