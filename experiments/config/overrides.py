"""The words of the command line: parsed, checked against the schema, and expanded into the cells of a sweep."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, get_type_hints

from omegaconf import OmegaConf

from experiments.config.errors import ConfigError, brief, did_you_mean, one_of, wrong
from experiments.config.schema import CONFIGS, ExperimentConfig, GroupConfig
from experiments.config.sweep_table import CellTable, is_table
from serverless.platforms.registry import platforms

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

EXPERIMENT_GROUP, PLATFORM_GROUP = "exp", "platform"
_MOST_VALUES = 10_000  # of a sweep
_LONGEST_NAME = 100  # characters of a folder's name


@dataclass(frozen=True)
class CellOverrides:
    """The overrides of one cell of a sweep.

    Parameters
    ----------
    words
        As Hydra takes them.
    name
        What distinguishes the cell: its folder below the results; empty if nothing is swept.
    """

    words: tuple[str, ...]
    name: str = ""


def expand(words: list[str], *, multirun: bool) -> list[CellOverrides]:
    """Return the cells that a command line asks for: one, or the product of its sweeps.

    Values with commas are swept over with ``multirun``, or if the file of the experiment says ``hydra.mode: MULTIRUN``;
    what that file sweeps over is part of a cell's name also where the command line gives it a single value.

    Raises
    ------
    ConfigError
        If a word cannot be parsed, or names a key or an option that does not exist.
    """
    given = [parse(word) for word in words]
    file = _sweep_of_the_file(given)
    multirun = multirun or file.is_multirun
    declared = [parse(word) for word in file.words] if multirun else []
    tables = file.tables if multirun else ()
    by_key = {override.key_or_group: override for override in given}
    grid = {override.key_or_group: by_key.get(override.key_or_group, override) for override in declared}
    in_file = {*grid, *(key for table in tables for key in table.keys)}
    overrides = [*grid.values(), *(override for override in given if override.key_or_group not in in_file)]
    from_tables = [parse(word) for table in tables for row in table.rows for word in row]
    every = {override.input_line: override for override in (*given, *overrides, *from_tables)}.values()
    problems = [problem for override in every for problem in _problems(override, multirun)]
    if problems:
        raise ConfigError(*problems)
    axes = [_narrowed(table, by_key).rows for table in tables]
    axes += [tuple((word,) for word in _values(override)) for override in overrides]
    in_name = in_file | {key for key, override in by_key.items() if override.is_sweep_override()}
    cells = [_cell(tuple(itertools.chain(*choice)), in_name) for choice in itertools.product(*axes)]
    if len({cell.name for cell in cells}) < len(cells):
        raise ConfigError("the sweep asks for the same cell twice; name each value once")
    return cells


def _cell(words: tuple[str, ...], in_name: set[str]) -> CellOverrides:
    named = [word for word in words if word.lstrip("+").partition("=")[0] in in_name]
    return CellOverrides(words, _folder_name(named))


@dataclass(frozen=True)
class _Sweep:
    """What an experiment's file says about sweeping, in Hydra's words for it."""

    is_multirun: bool = False
    words: tuple[str, ...] = ()
    tables: tuple[CellTable, ...] = ()


def _sweep_of_the_file(given: list[Override]) -> _Sweep:
    """Return the sweep that the experiment declares; of several experiments, none may declare one."""
    names = [str(name) for override in given if override.key_or_group == EXPERIMENT_GROUP for name in _names(override)]
    declared = {name: sweep for name in names if (sweep := _declared(name)).is_multirun}
    if declared and len(names) > 1:
        raise ConfigError(f"the experiment {next(iter(declared))!r} is a sweep of its own: run it alone")
    return next(iter(declared.values()), _Sweep())


def _declared(experiment: str) -> _Sweep:
    path = CONFIGS / EXPERIMENT_GROUP / f"{experiment}.yaml"
    if experiment not in options(EXPERIMENT_GROUP):
        return _Sweep()
    file = OmegaConf.load(path)
    params = OmegaConf.select(file, "hydra.sweeper.params") or {}
    words = tuple(f"{key}={values}" for key, values in params.items() if not is_table(key))
    tables = tuple(CellTable.parse(key, rows) for key, rows in params.items() if is_table(key))
    return _Sweep(OmegaConf.select(file, "hydra.mode") == "MULTIRUN", words, tables)


def _narrowed(table: CellTable, given: dict[str, Override]) -> CellTable:
    """Return the part of a table that the command line asks for."""
    for key in table.keys:
        if key in given:
            table = table.narrowed(key, [word.lstrip("+") for word in _values(given[key])])
    return table


@cache
def options(group: str) -> tuple[str, ...]:
    """Return the options of a group of configuration files, such as ``adam, nadam, sgd``."""
    names = {path.stem for path in (CONFIGS / group).glob("*.yaml")}
    return tuple(sorted(names.union(platforms()) if group == PLATFORM_GROUP else names))


@cache
def descriptions() -> dict[str, str]:
    """Return what each experiment is about, in half a line: how the text in its file begins, up to a full stop."""
    files = {name: CONFIGS / EXPERIMENT_GROUP / f"{name}.yaml" for name in options(EXPERIMENT_GROUP)}
    return {name: _first_clause(path.read_text(encoding="utf-8")) for name, path in files.items()}


def _first_clause(text: str) -> str:
    """Return how the comment of an experiment's file begins, after the command that runs it.

    Examples
    --------
    >>> _first_clause("# @package _global_\\n# python -m ...\\n#\\n# Two systems, one\\n# cell: slow.\\ndefaults:")
    'Two systems, one cell'
    """
    comment = text.partition("\n#\n")[2].partition("\ndefaults")[0].replace("\n#", "").removeprefix("# ")
    return re.split(r"[.:;](?:\s|$)", comment, maxsplit=1)[0]


@cache
def groups() -> tuple[str, ...]:
    """Return the groups of configuration files."""
    return tuple(sorted(path.name for path in CONFIGS.iterdir() if path.is_dir()))


@cache
def keys() -> tuple[str, ...]:
    """Return every key of the schema, dotted, sections included."""
    return tuple(_keys_of(ExperimentConfig, ""))


def _keys_of(schema: type, prefix: str) -> Iterator[str]:
    for name, kind in get_type_hints(schema).items():
        yield prefix + name
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _keys_of(kind, f"{prefix}{name}.")


def _is_of_a_group(key: str) -> bool:
    """Whether a key is one of a fabric's group, whose name the configuration chooses."""
    return re.fullmatch(rf"fabric\.groups\.\w+\.({'|'.join(get_type_hints(GroupConfig))})", key) is not None


@lru_cache(maxsize=1024)
def parse(word: str) -> Override:
    """Parse one word, which takes milliseconds; a grid repeats its words in many cells.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser  # noqa: PLC0415 - --help does without
    from hydra.errors import HydraException  # noqa: PLC0415 - Hydra as well

    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        reason = str(error).splitlines()[0].removeprefix(f"Error parsing override '{word}'")
        reason = reason.removeprefix("HydraException while evaluating").strip()
        reason = f" ({reason})" if reason else ""
        raise ConfigError(
            f"cannot read {brief(word)!r}{brief(reason)}: write key=value, such as clients=100; "
            f"""text with signs such as = or , in it needs quotes: 'data.path="a=b"'"""
        ) from None


def _problems(override: Override, multirun: bool) -> Iterator[str]:
    key, word = override.key_or_group, override.input_line or ""
    if override.is_delete():
        yield f"{word!r}: a key cannot be taken away; give it another value"
    elif key == "hydra" or key.startswith(("hydra.", "hydra/")):
        yield f"{word!r}: settings of Hydra itself have no effect here; results go to out=DIR"
    elif override.package is not None:
        yield f"{word!r}: a group cannot be put elsewhere with @; write {key}=..."
    elif key not in (*groups(), *keys()) and not _is_of_a_group(key):
        yield f"unknown key {brief(key)!r}{did_you_mean(key, (*keys(), EXPERIMENT_GROUP))}; --help lists the keys"
    elif override.is_sweep_override() and not multirun:
        yield f"{word!r}: several values need -m, one run of the experiment for each; a list is written [a,b]"
    elif key in groups():
        yield from (one_of(key, name, options(key)) for name in _names(override) if name not in options(key))


def _names(override: Override) -> list[object]:
    """Return the options that an override of a group asks for."""
    return [*_swept(override)] if override.is_sweep_override() else [override.value()]


def _swept(override: Override) -> list[str]:
    """Return the values of a sweep.

    Raises
    ------
    ConfigError
        If it has no list of values (Hydra's ``interval`` and ``glob``), none at all, or more than anybody runs.
    """
    from hydra.core.override_parser.types import Glob, RangeSweep  # noqa: PLC0415 - --help does without Hydra

    key, said, sweep = override.key_or_group, override.get_value_string(), override.value()
    if isinstance(sweep, Glob) or not override.is_discrete_sweep():
        raise ConfigError(wrong(key, said, "a sweep needs a list of values, such as choice(1,2) or range(1,4)"))
    if isinstance(sweep, RangeSweep):
        step = sweep.step or float("nan")
        if not 0 < (float(sweep.stop or 0) - float(sweep.start or 0)) / step <= _MOST_VALUES:  # NaN is not, either
            raise ConfigError(wrong(key, said, f"a range has 1 to {_MOST_VALUES:,} values, such as range(1,4)"))
    values = [*itertools.islice(override.sweep_string_iterator(), _MOST_VALUES + 1)]
    if not 0 < len(values) <= _MOST_VALUES:
        raise ConfigError(wrong(key, said, f"a sweep has 1 to {_MOST_VALUES:,} values"))
    return values


def _values(override: Override) -> list[str]:
    """Return an override as one word per value; whether it has a plus sign does not matter."""
    key = override.key_or_group
    sign = "+" if key == EXPERIMENT_GROUP else ""
    if override.is_sweep_override():
        return [f"{sign}{key}={value}" for value in _swept(override)]
    return [sign + (override.input_line or "").lstrip("+")]


def _folder_name(swept: list[str]) -> str:
    """Return the name of a cell's folder from the swept values: plain characters, and not too long."""
    full = ",".join(word.lstrip("+") for word in swept)
    name = re.sub(r"[^\w.=,+-]+", "_", full)
    if name == full and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(full.encode()).hexdigest()[:6]}"
