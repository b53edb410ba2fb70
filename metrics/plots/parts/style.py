"""One look for every figure: the colour of each backend, the frame of notes around what is drawn.

Colours are of Okabe and Ito's palette ("Color Universal Design", 2008), told apart with every common form of colour
blindness; a few from Paul Tol's muted scheme join them where eight are too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from metrics.analysis.labels import FIRST_K, common_label, label_runs
from metrics.analysis.run_choices import first_k
from metrics.collect.tables import Tables
from metrics.collect.units import memory

WIDTH = 8.0  # inches; at 110 dots each, 880 pixels: what a README shows without scaling
_HEADER, _FOOTER, _LINE = 0.62, 0.12, 0.155  # inches
LEGEND_LINES = 2  # lines of notes that a legend below takes the place of
_MARGIN = 0.012  # of the width, on each side
_ROOM = (1 - 2.5 * _MARGIN) * WIDTH * 72  # points, for a line of text
_NOTE_SIZE, _SUBTITLE_SIZE = 7.5, 8.5  # points

STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # no axis has ticks at the top; else each drawing measures whether one has
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",  # text stays text: it can be searched, and files are a fifth as large
    "svg.hashsalt": "",  # names of elements that are the same each time
}

_BACKENDS = {
    "inprocess": "#8C8C8C",
    "flower": "#E69F00",
    "openwhisk": "#0072B2",
    "openfaas": "#009E73",
    "google": "#CC79A7",
    "fabric": "#AA4499",
}
_PLATFORMS = {"openwhisk": "OpenWhisk", "openfaas": "OpenFaaS", "google": "Google Cloud Functions"}
PHASES = {
    "train": "#009E73",
    "move weights": "#56B4E9",
    "aggregate": "#CC79A7",
    "evaluate": "#F0E442",
    "start": "#882255",
    "compile": "#332288",
    "platform": "#D55E00",
    "unattributed": "#BBBBBB",
}
ROLES = {
    "client": "#009E73",
    "aggregator": "#CC79A7",
    "invoker": "#117733",
    "controller": "#999999",
    "emulator": "#56B4E9",
    "openwhisk": "#0072B2",
    "prewarmed": "#44AA99",
    "object_store": "#F0E442",
    "flower": "#D55E00",
    "ray": "#882255",
    "not sampled": "#DDDDDD",
}
COST_ITEMS = {
    "functions": "#56B4E9",
    "vm": "#D55E00",
    "invokers": "#009E73",
    "aggregator": "#CC79A7",
    "controller": "#999999",
    "store": "#F0E442",
    "egress": "#882255",
}
OUTCOMES = {  # of attempts: colour, and a hatch for prints without any
    "success": ("#009E73", ""),
    "success, got over": ("#56B4E9", ""),
    "refused by the platform": ("#F0E442", "////"),
    "lost": ("#E69F00", "\\\\\\\\"),
    "function failed": ("#D55E00", ""),
    "corrupt update": ("#882255", "xxxx"),
    "discarded": ("#BBBBBB", ""),
}
OPTIMIZERS = {"sgd": "#009E73", "adam": "#0072B2", "nadam": "#D55E00"}
PUBLISHED = "#333333"  # of others, hollow beside ours
OTHER = "#333333"


def backend_colour(backend: str) -> str:
    """Return the one colour of a backend."""
    return _BACKENDS.get(backend, OTHER)


def lay_over(place: int, count: int) -> dict[str, Any]:
    """Return line properties that keep ``count`` lines visible that may lie exactly on top of each other.

    The first is the widest and lowest; each later one is thinner, so that a rim of every line below it shows.
    """
    steps = (count - 1 - place) * min(1.0, 2 / max(1, count - 1))  # many rims have to be thin ones
    return {
        "linewidth": 1.8 + 3.2 * steps,
        "markersize": 5 + 4.5 * steps,
        "zorder": 3 + place,
        "solid_capstyle": "round",
    }


def notes_height(lines: int) -> float:
    """Return the height of so many lines of notes, in inches."""
    return _FOOTER + _LINE * lines


def write_legend(figure: Figure, handles: Sequence[Artist], *, notes: int) -> None:
    """Write a legend on a line between what is drawn and ``notes`` lines of notes; it takes :data:`LEGEND_LINES`."""
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, notes_height(notes) / figure.get_figheight()),
        ncols=len(handles),
        fontsize=8,
        handlelength=1.2,
        columnspacing=1.4,
    )


def new_figure(rows: int, columns: int, row_height: float, *, below: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with a grid of axes, ``row_height`` inches each, a header, and room for ``below`` lines."""
    height = _HEADER + row_height * rows + notes_height(below)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    engine = figure.get_layout_engine()
    if engine is not None:
        body = (0.0, notes_height(below) / height, 1.0, row_height * rows / height)
        engine.set(rect=body, w_pad=0.1)  # type: ignore[call-arg]
    return figure, [list(row) for row in figure.subplots(rows, columns, squeeze=False)]


def under(cell: object, title: str) -> str:
    """Return the title of a cell's first panel: the cell's label, often long, runs on above the panels beside it."""
    return "\n".join(filter(None, [str(cell), title]))


def annotate(figure: Figure, title: str, subtitle: str, notes: list[str]) -> None:
    """Write the title above and the notes below what is drawn."""
    height = figure.get_figheight()
    figure.text(_MARGIN, 1 - 0.12 / height, title, fontsize=13, fontweight="bold", va="top")
    fitting = _SUBTITLE_SIZE * min(1.0, _ROOM / max(1.0, _length(subtitle, _SUBTITLE_SIZE)))
    figure.text(_MARGIN, 1 - 0.37 / height, subtitle, fontsize=fitting, color="#444444", va="top")
    text = "\n".join(notes)
    figure.text(_MARGIN, 0.07 / height, text, fontsize=_NOTE_SIZE, color="#555555", va="bottom", linespacing=1.25)


def wrapped(*notes: str) -> list[str]:
    """Return notes as lines that fit the figure's width."""
    lines: list[str] = []
    for note in filter(None, notes):
        words = note.split()
        line, length = words[0], _length(words[0], _NOTE_SIZE)
        for word in words[1:]:
            longer = length + _length(" ", _NOTE_SIZE) + _length(word, _NOTE_SIZE)
            if longer <= _ROOM:
                line, length = f"{line} {word}", longer
            else:
                lines.append(line)
                line, length = word, _length(word, _NOTE_SIZE)
        lines.append(line)
    return lines


@lru_cache(maxsize=4096)
def _length(text: str, size: float) -> float:
    """Return how long a line of text is, in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)
    return float(width)


def source_notes(tables: Tables) -> list[str]:
    """Say what was emulated, where the numbers come from and on what machine they were taken."""
    runs = tables["runs"]
    emulated = runs[runs["emulated"]]
    platforms = " and ".join(sorted({_PLATFORMS.get(name, str(name)) for name in emulated["platform"]}))
    return [
        FIRST_K if first_k(runs).notna().any() else "",
        f"{platforms}: embedded server (emulated), one machine." if platforms else "",
        f"Source: {_sources(runs)}. Machine: {_machines(runs)}.",
    ]


def what_was_learnt(tables: Tables) -> str:
    """Say what all runs have in common."""
    return common_label(label_runs(tables["runs"]))


def _sources(runs: pd.DataFrame) -> str:
    ids = sorted(runs["run_id"])
    listed = f"runs {', '.join(ids)}" if len(ids) <= 3 else f"{len(ids)} runs, {ids[0]} … {ids[-1]}"
    known = runs[["commit", "dirty"]].dropna().drop_duplicates()
    commits = [
        f"commit {commit[:7]}{' with changes' if dirty else ''}" for commit, dirty in known.itertuples(index=False)
    ]
    return ", ".join([f"experiment {' and '.join(sorted(set(runs['experiment'])))}", listed, *commits])


def _machines(runs: pd.DataFrame) -> str:
    machines = runs[["cpu_model", "cores", "memory_bytes"]].drop_duplicates().itertuples(index=False)
    return "; ".join(f"{model}, {cores} cores, {memory(size)}" for model, cores, size in machines)
