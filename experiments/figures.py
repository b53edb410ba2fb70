"""Draws the figures of a finished experiment from its tables; needs neither data nor TensorFlow.

Usage: ``python -m experiments.figures results/quickstart [figure=all | figure=NAME ...]``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import ConfigError, one_of
from metrics import tables
from metrics.kpis import Tables
from metrics.plots import FIGURES, NoDataError, save

USAGE = "usage: python -m experiments.figures RESULTS [figure=all | figure=NAME ...]"
ALL = "all"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what the command line asks for, print the files, and return the exit code."""
    try:
        folder, names = parse(sys.argv[1:] if arguments is None else arguments)
        for path in draw(folder, tables.load(folder), names):
            print(path)
    except (ConfigError, FileNotFoundError, NoDataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parse(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder of the results and the names of the figures (``all`` for every one that has data).

    Raises
    ------
    ConfigError
        If the folder is missing, or an argument is none or names no figure.
    """
    folders = [argument for argument in arguments if "=" not in argument]
    if len(folders) != 1:
        raise ConfigError(f"name one folder of results, not {len(folders)}", USAGE)
    folder = Path(folders[0])
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; `python -m experiments.run +exp=quickstart` makes one", USAGE)
    names = []
    for key, _, value in (argument.partition("=") for argument in arguments if "=" in argument):
        if key != "figure":
            raise ConfigError(one_of("option", key, ["figure"]), USAGE)
        if value not in (*FIGURES, ALL):
            raise ConfigError(one_of("figure", value, [*FIGURES, ALL]))
        names.append(value)
    return folder, names or [ALL]


def draw(out: Path, frames: Tables, names: Sequence[str] = (ALL,)) -> list[Path]:
    """Draw figures into ``out/figures`` and return the files made.

    Raises
    ------
    NoDataError
        If a figure that was asked for by name, or every figure, has nothing to show.
    """
    files: list[Path] = []
    missing: list[str] = []
    for name in FIGURES if ALL in names else names:
        try:
            files += save(FIGURES[name], frames, out / "figures")
        except NoDataError as error:
            if name in names:
                raise
            missing.append(str(error))
    if not files:
        raise NoDataError("\n".join(["nothing can be drawn:", *missing]))
    return files


if __name__ == "__main__":
    sys.exit(main())
