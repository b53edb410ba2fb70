"""What a value may be, declared beside its key: ``rounds: Count``. One walk finds all values that are not allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

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
def _rules(schema: type) -> tuple[tuple[str, tuple[Must | OneOf, ...]], ...]:
    hints = get_type_hints(schema, include_extras=True)
    return tuple((name, tuple(_annotated(hint))) for name, hint in hints.items())


def _annotated(hint: Any) -> Iterator[Must | OneOf]:
    for part in (hint, *get_args(hint)):  # the second also finds the rules in ``Count | None``
        yield from getattr(part, "__metadata__", ())
