"""Draws figures of an experiment into its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics.collect.tables import Tables
from metrics.plots import FIGURES, PNG, NoDataError, save

ALL = "all"


@dataclass(frozen=True)
class Drawn:
    """What was drawn, and what does not apply to these tables: a line each that says why."""

    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def draw(out: Path, frames: Tables, names: Sequence[str] = (ALL,), formats: Sequence[str] = (PNG,)) -> Drawn:
    """Draw figures into ``out/figures``.

    Raises
    ------
    NoDataError
        If a figure that was asked for by name, or every figure, has nothing to show.
    """
    files: list[Path] = []
    skipped: list[str] = []
    for name in FIGURES if ALL in names else names:
        try:
            files += save(FIGURES[name], frames, out / "figures", formats)
        except NoDataError as error:
            if name in names:
                raise
            skipped.append(str(error))
    if not files:
        raise NoDataError("\n".join(["nothing can be drawn:", *skipped]))
    return Drawn(tuple(files), tuple(skipped))
