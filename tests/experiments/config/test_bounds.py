"""Every number of a configuration has its bounds where it is declared, and its values are compared with them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, get_args, get_type_hints

import pytest

from experiments.config.bounds import Amount, Count, Must, OneOf, Seconds, bound_problems
from experiments.config.compose import compose_cells
from experiments.config.schema import ExperimentConfig

UNBOUND = {"pricing.function.tiers"}  # pairs; see experiments.config.validation


def parts(hint: object) -> Iterator[object]:
    yield hint
    for part in get_args(hint):
        yield from parts(part)


def numbers(schema: type, prefix: str = "") -> Iterator[tuple[str, list[object]]]:
    for name, hint in get_type_hints(schema, include_extras=True).items():
        found = list(parts(hint))
        inner = next((part for part in found if isinstance(part, type) and is_dataclass(part)), None)
        if inner is not None:
            yield from numbers(inner, f"{prefix}{name}.")
        elif int in found or float in found:
            yield prefix + name, found


@pytest.mark.parametrize(("key", "found"), [pair for pair in numbers(ExperimentConfig) if pair[0] not in UNBOUND])
def test_every_number_is_declared_with_its_bounds(key, found):
    rules = [part for part in found if isinstance(part, Must)]
    for absurd in (-1, 10**30, float("nan")):
        value = [absurd] if list[int] in found else absurd
        assert any(list(rule.problems(key, value)) for rule in rules), f"{key} may be {absurd}"


@dataclass
class Section:
    count: Count = 1
    wait_s: Seconds | None = None
    names: Annotated[list[str], Must("not be empty", bool)] = field(default_factory=lambda: ["a"])


@dataclass
class Whole:
    kind: Annotated[str, OneOf(("one", "two"))] = "one"
    amount: Amount = 0.0
    seeds: Annotated[list[int], Must("be fewer than three", lambda seeds: len(seeds) < 3)] = field(default_factory=list)
    part: Section = field(default_factory=Section)
    parts: dict[str, Section] = field(default_factory=dict)


def test_what_is_allowed_has_no_problems_at_the_ends_of_its_range_either():
    parts = {"x": Section(1_000_000, 604_800.0), "y": Section(wait_s=1e-9)}
    assert list(bound_problems(Whole("two", 0.0, [0, 9], Section(), parts))) == []


@pytest.mark.parametrize("amount", [-0.1, math.nan, math.inf, -math.inf, 1e13])
def test_a_number_that_is_not_finite_is_in_no_range(amount):
    (problem,) = bound_problems(Whole(amount=amount))
    assert problem.startswith("amount=")
    assert problem.endswith("must be from 0 to 1,000,000,000,000")


def test_one_walk_finds_all_problems_and_names_them_by_their_whole_keys():
    whole = Whole("onne", -1.0, [1, 2, 3], Section(0, 0.0, []), {"x": Section(wait_s=-1.0)})
    assert list(bound_problems(whole)) == [
        "kind='onne': allowed are one, two (did you mean 'one'?)",
        "amount=-1.0: must be from 0 to 1,000,000,000,000",
        "seeds=[1,2,3]: must be fewer than three",
        "part.count=0: must be from 1 to 1,000,000",
        "part.wait_s=0.0: must be more than 0 and at most 604,800 seconds",
        "part.names=[]: must not be empty",
        "parts.x.wait_s=-1.0: must be more than 0 and at most 604,800 seconds",
    ]


def test_a_group_of_a_fabric_is_compared_with_its_declaration_too():
    (cell,) = compose_cells(["+exp=fabric_smoke"])
    next(iter(cell.config.fabric.groups.values())).cpu_share = 1.5
    (problem,) = bound_problems(cell.config)
    assert problem.startswith("fabric.groups.")
    assert problem.endswith("must be more than 0 and at most 1 (of a core), or null")
