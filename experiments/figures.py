"""Draws the figures of finished experiments from their tables; needs neither data nor TensorFlow.

Usage: ``python -m experiments.figures results/quickstart [figure=all | figure=NAME ...] [formats=png,pdf,svg]``, or, to
draw several experiments as one, ``python -m experiments.figures results/A results/B out=results/both``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.config.errors import ConfigError, disk_problem, one_of
from experiments.printing import guarded
from metrics.analysis.loading import MixedTablesError, load_all
from metrics.collect.tables import TableError
from metrics.plots import FIGURES, FORMATS, PNG, NoDataError
from metrics.plots.draw import ALL, draw

USAGE = (
    "usage: python -m experiments.figures RESULTS ... [figure=all | figure=NAME ...] [formats=png,pdf,svg] [out=DIR] "
    "[mixed=true]"
)
_OPTIONS = ("figure", "formats", "mixed", "out")
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Order:
    """What a command line asks for.

    Parameters
    ----------
    folders
        Results, drawn as one experiment.
    names
        Figures; ``all`` for every one that has data.
    out
        Folder that gets ``figures/``.
    mixed
        Whether runs of different machines, or tables of other schema versions, may stand side by side.
    formats
        Of the pictures, some of :data:`metrics.plots.FORMATS`.
    """

    folders: tuple[Path, ...]
    names: tuple[str, ...]
    out: Path
    mixed: bool
    formats: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what the command line asks for, print the files, and return the exit code."""
    try:
        order = parse(sys.argv[1:] if arguments is None else arguments)
        drawn = draw(order.out, load_all(order.folders, mixed=order.mixed), order.names, order.formats)
    except (ConfigError, FileNotFoundError, NoDataError, MixedTablesError, TableError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {disk_problem(order.out, error)}", file=sys.stderr)
        return 2
    for path in drawn.files:
        print(path)
    for line in drawn.skipped:
        print(f"skipped {line}", file=sys.stderr)
    return 0


def parse(arguments: Sequence[str]) -> Order:
    """Return what a command line asks for.

    Raises
    ------
    ConfigError
        If a folder is missing, or an argument is none or names no figure.
    """
    folders = tuple(Path(argument) for argument in arguments if "=" not in argument)
    if not folders:
        raise ConfigError("name a folder of results", USAGE)
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"there is no folder {folder}; `python -m experiments.run +exp=quickstart` makes one", USAGE
            )
    names, options = _options(argument for argument in arguments if "=" in argument)
    if len(folders) > 1 and "out" not in options:
        raise ConfigError(f"say where the figures of {len(folders)} folders go: out=DIR", USAGE)
    mixed = options.get("mixed", "false")
    if mixed not in _TRUTHS:
        raise ConfigError(one_of("mixed", mixed, _TRUTHS), USAGE)
    out = Path(options.get("out", folders[0]))
    return Order(folders, tuple(names or [ALL]), out, _TRUTHS[mixed], _formats(options.get("formats", PNG)))


def _options(arguments: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    names: list[str] = []
    options: dict[str, str] = {}
    for key, _, value in (argument.partition("=") for argument in arguments):
        if key not in _OPTIONS:
            raise ConfigError(one_of("option", key, _OPTIONS), USAGE)
        if key != "figure":
            options[key] = value
        elif value in (*FIGURES, ALL):
            names.append(value)
        else:
            raise ConfigError(one_of("figure", value, [*FIGURES, ALL]))
    return names, options


def _formats(given: str) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(given.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(one_of("formats", name, FORMATS), USAGE)
    return formats


if __name__ == "__main__":
    sys.exit(guarded(main))
