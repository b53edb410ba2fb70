"""From the words of a command line to validated configurations, one per cell of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from experiments.config.bounds import malformed
from experiments.config.errors import ConfigError, brief, did_you_mean, wrong
from experiments.config.overrides import PLATFORM_GROUP, CellOverrides, expand, groups, keys, parse
from experiments.config.schema import CONFIGS, SCHEMA_NAME, ExperimentConfig
from serverless.platforms.registry import platforms

_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list[str]: "a list of names, such as [inprocess,flower]",
    list[int]: "a list of whole numbers, such as [0,1,2]",
    list[list[float]]: "a list of pairs of numbers, such as [[128,0.2]]",
}


@dataclass(frozen=True)
class Cell:
    """One configuration and the folder of its results.

    Parameters
    ----------
    name
        What distinguishes it in a sweep; empty if it is alone.
    """

    name: str
    config: ExperimentConfig
    out: Path

    @property
    def top(self) -> Path:
        """The folder of the experiment: that of the sweep, if the cell is one of several."""
        return self.out.parent if self.name else self.out


def compose_cells(words: list[str], *, multirun: bool = False) -> list[Cell]:
    """Compose and validate every cell that a command line asks for, before any of them does any work.

    Parameters
    ----------
    words
        Hydra overrides, such as ``+exp=quickstart`` and ``rounds=5``.
    multirun
        Whether values with commas are swept over.

    Raises
    ------
    ConfigError
        If a key is unknown, or a value is impossible.
    """
    return [_compose(cell) for cell in expand(words, multirun=multirun)]


def _compose(cell: CellOverrides) -> Cell:
    from experiments.config.validation import validate  # noqa: PLC0415 - a mistyped key is reported without it

    try:
        config = OmegaConf.to_object(_composed(cell.words))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explained(error, cell)) from error
    if not isinstance(config, ExperimentConfig):
        raise TypeError(f"{CONFIGS}/config.yaml does not begin with the schema in its defaults")
    if problems := [wrong(key, value, f"must be {_kind(key)}") for key, value in malformed(config)]:
        raise ConfigError(*problems)
    validate(config)
    return Cell(cell.name, config, _out(config, cell.name))


def _composed(words: tuple[str, ...]) -> DictConfig:
    """Compose the options, then set single values: Hydra needs 0.2 s to compose, and most cells have equal options."""
    overrides = [parse(word) for word in words]
    options = tuple(override.input_line or "" for override in overrides if override.key_or_group in groups())
    composed = deepcopy(_composed_options(CONFIGS, options))
    for override in overrides:
        if override.key_or_group not in groups():
            _set(composed, override.key_or_group, override.value())
    return composed


def _set(composed: DictConfig, key: str, value: object) -> None:
    try:
        OmegaConf.update(composed, key, value)
    except OmegaConfBaseException as error:
        if error.full_key:
            raise
        raise ConfigError(wrong(key, value, f"must be {_kind(key)}")) from error


@lru_cache(maxsize=32)
def _composed_options(folder: Path, options: tuple[str, ...]) -> DictConfig:
    """Return what the files of a folder say with these options chosen; not to be changed, for it is kept."""
    store = ConfigStore.instance()
    store.store(name=SCHEMA_NAME, node=ExperimentConfig)
    for name, platform in platforms().items():
        if platform.options is not None:
            store.store(group=PLATFORM_GROUP, name=name, node=OmegaConf.load(platform.options))
    with initialize_config_dir(config_dir=str(folder), version_base="1.3"):
        return compose("config", overrides=list(options))


def _out(config: ExperimentConfig, name: str) -> Path:
    folder = Path("results") / config.experiment if config.out is None else Path(config.out).expanduser()
    return folder / name


def _explained(error: Exception, cell: CellOverrides) -> str:
    """Explain in one line what OmegaConf found, which Hydra wraps in errors of its own."""
    found = next((e for e in _causes(error) if isinstance(e, OmegaConfBaseException)), None)
    if found is None or not found.full_key or isinstance(found, InterpolationResolutionError):
        where = f"{found.full_key}: " if found is not None and found.full_key else ""
        return where + str(found or error).splitlines()[0]
    full_key = found.full_key
    given = next((word.partition("=")[2] for word in cell.words if word.startswith(f"{full_key}=")), None)
    key = full_key.partition("[")[0]
    if key not in keys() and not key.startswith("fabric.groups."):
        experiment = next((word for word in cell.words if word.startswith("+exp=")), "")
        where = f"conf/exp/{experiment.partition('=')[2]}.yaml" if experiment else "the files in conf"
        return f"unknown key {key!r}{did_you_mean(key, keys())} in {where}"
    given = given or next((w.partition("=")[2] for w in cell.words if w.startswith(f"{key}=")), "")
    return (
        f"{key}={brief(given)}: must be {_kind(key)}" if given else f"{key}: {str(found.msg or found).splitlines()[0]}"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _kind(key: str) -> str:
    """Return in words what type a key has."""
    hint: object = ExperimentConfig
    for part in key.split("."):
        is_table = get_origin(hint) is dict  # of groups, by names that the configuration chooses
        hint = get_args(hint)[1] if is_table else get_type_hints(hint)[part]
    for kind, words in _KINDS.items():
        if hint == kind:
            return words
        if hint == kind | None:
            return f"{words} or null"
    return "a section of keys"
