"""Where the time of first and later rounds goes, and how long containers took to start, after Fig. 5 of Chadha et al.

There, container starts were constants; here they are measured, in the process and in the platform's record.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from metrics.analysis.labels import label_runs
from metrics.collect.phases import GROUPS, by_group
from metrics.collect.tables import Tables, records
from metrics.collect.units import seconds
from metrics.plots.papers.fig4 import THEIRS, in_their_setting
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import (
    LEGEND_LINES,
    PUBLISHED,
    annotate,
    backend_colour,
    new_figure,
    source_notes,
    under,
    what_was_learnt,
    wrapped,
    write_legend,
)
from metrics.published import CHADHA, first_rounds, rounds

FIRST, LATER, START = "first", "later", "container start"
IN_PROCESS, IN_RECORD = "in the process", "in the record"
# What the paper calls its parts -> the group of phases that they are drawn beside.
_THEIR_PARTS = {"invoke_s": "platform", "train_s": "train", "aggregate_s": "aggregate"}
_KEYS = ["cell", "system", "backend"]
_SHORTEST_S = 1e-3  # drawn on a logarithmic axis; phases that took less are in the CSV only
_FEW = 5  # values, below which they are drawn one by one


def data(tables: Tables) -> pd.DataFrame:
    """Return the seconds of each group of phases in each round of finished runs, and of each container start."""
    runs = label_runs(tables["runs"])
    runs = runs[runs["status"] == "success"]
    found = runs[["run_id", *_KEYS]].merge(tables["rounds"], on="run_id", sort=False)
    if found["server_round"].nunique() < 2:
        return pd.DataFrame()
    parts = [_of_rounds(found), _of_starts(runs, tables["invocations"]), *_published(runs)]
    shown = pd.concat(parts, ignore_index=True)
    n = shown.groupby([*_KEYS, "kind", "part"], sort=False)["run_id"].transform("nunique")
    return shown.assign(n=n)


def _of_rounds(found: pd.DataFrame) -> pd.DataFrame:
    first = found["server_round"] == found.groupby(["run_id", "part"], dropna=False)["server_round"].transform("min")
    groups = pd.DataFrame([by_group(row) for row in records(found)], index=found.index)
    wide = pd.concat([found[["run_id", *_KEYS, "server_round"]], groups], axis="columns")
    wide["kind"] = np.where(first, FIRST, LATER)
    return _long(wide, list(GROUPS))


def _of_starts(runs: pd.DataFrame, invocations: pd.DataFrame) -> pd.DataFrame:
    """Return the length of each cold start within a round, by the process's clock and by the platform's record."""
    cold = invocations[invocations["is_cold"].eq(True) & (invocations["function"] == "client")]
    cold = cold.rename(columns={"cold_start_s": IN_PROCESS, "init_s": IN_RECORD})
    wide = runs[["run_id", *_KEYS]].merge(cold, on="run_id", sort=False).assign(kind=START)
    return _long(wide, [IN_PROCESS, IN_RECORD]).dropna(subset=["seconds"]).query("seconds > 0")


def _published(runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the published parts of first and of later rounds for each cell of ours that has their setting."""
    same = runs[in_their_setting(runs)][["cell", "model", "local_epochs"]].drop_duplicates()
    if same.empty:
        return
    first = first_rounds().assign(kind=FIRST, server_round=1, run_id=lambda found: "run " + found["run"].astype(str))
    later = rounds().query("server_round > 1").assign(kind=LATER, run_id="run")
    for theirs in (first, later):
        wide = same.merge(theirs, on=["model", "local_epochs"]).rename(columns=_THEIR_PARTS)
        yield _long(wide.assign(system=THEIRS, backend="published"), list(_THEIR_PARTS.values())).dropna()


def _long(wide: pd.DataFrame, parts: Sequence[str]) -> pd.DataFrame:
    identity = ["run_id", *_KEYS, "kind", "server_round"]
    return wide.melt(id_vars=identity, value_vars=list(parts), var_name="part", value_name="seconds")


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw three panels per cell: first rounds, later rounds, container starts."""
    cells = list(shown["cell"].unique())
    most = shown.groupby("cell")["system"].nunique().max()
    notes = wrapped(*_notes(shown), *source_notes(tables))
    figure, axes = new_figure(
        len(cells), 3, (1.3 if cells[0] else 1.1) + len(GROUPS) * (0.1 + 0.1 * most), below=len(notes) + LEGEND_LINES
    )
    for (first, later, start), cell in zip(axes, cells, strict=True):
        rows = shown[shown["cell"] == cell]
        systems = list(rows["system"].unique())
        for panel, kind in ((first, FIRST), (later, LATER)):
            _draw_parts(panel, rows[rows["kind"] == kind], list(GROUPS), systems)
            panel.tick_params(axis="y", labelleft=panel is first)
        _draw_parts(start, rows[rows["kind"] == START], [IN_PROCESS, IN_RECORD], systems)
        start.tick_params(axis="y", labelrotation=90)
        for label in start.get_yticklabels():
            label.set_verticalalignment("center")
        first.set_title(under(cell, "first round"))
        later.set_title("later rounds")
        start.set_title("cold starts of clients")
    write_legend(figure, _legend(shown), notes=len(notes))
    annotate(figure, "Time of first and of later rounds, by phase", what_was_learnt(tables), notes)
    return figure


def _draw_parts(axes: Axes, rows: pd.DataFrame, parts: Sequence[str], systems: Sequence[str]) -> None:
    step = 0.84 / len(systems)
    for (system, backend, part), found in rows.groupby(["system", "backend", "part"], sort=False):
        y = parts.index(str(part)) + step * (systems.index(str(system)) - (len(systems) - 1) / 2)
        values = found.loc[found["seconds"] >= _SHORTEST_S, "seconds"]
        _draw_values(axes, y, step, values.to_numpy(), _colour(str(backend)))
    axes.set_xscale("log")
    longest = rows["seconds"].max() if len(rows) else 1.0
    axes.set_xlim(_SHORTEST_S, 10 ** math.ceil(math.log10(max(longest, 1.0) * 1.2)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_yticks(range(len(parts)), parts)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.set_xlabel("seconds (log scale)")
    axes.grid(axis="y", visible=False)


def _draw_values(axes: Axes, y: float, height: float, values: np.ndarray, colour: str) -> None:
    if len(values) < _FEW:
        axes.plot(values, [y] * len(values), "o", markersize=4, color=colour)
        return
    box = {"facecolor": colour, "alpha": 0.45, "edgecolor": colour}
    line = {"color": colour}
    axes.boxplot(
        values,
        positions=[y],
        widths=0.8 * height,
        orientation="horizontal",
        whis=(0, 100),
        manage_ticks=False,
        patch_artist=True,
        boxprops=box,
        medianprops={**line, "linewidth": 2},
        whiskerprops=line,
        capprops=line,
    )


def _legend(shown: pd.DataFrame) -> list[Patch]:
    """Return a patch per system; per backend, where two systems have its colour."""
    named = shown[["system", "backend"]].drop_duplicates()
    if named["backend"].duplicated().any():
        named = named.drop_duplicates("backend").assign(system=lambda rows: rows["backend"])
    return [Patch(color=_colour(str(row.backend)), label=row.system) for row in named.itertuples()]


def _colour(backend: str) -> str:
    return PUBLISHED if backend == "published" else backend_colour(backend)


def _notes(shown: pd.DataFrame) -> list[str]:
    lines = [
        "Boxes: quartiles and median over rounds, whiskers: lowest and highest; fewer than five values are dots. "
        f"Rounds are those of n runs; a part that took less than {seconds(_SHORTEST_S)} is not drawn. Moments in which "
        "several workers are busy are shared equally among what goes on."
    ]
    lines += [
        _counted(rows) for _, rows in shown[shown["backend"] != "published"].groupby(["cell", "system"], sort=False)
    ]
    if (shown["backend"] == "published").any():
        lines.append(
            f"Published: {CHADHA.citation}, Fig. 4 and 5. {CHADHA.differences} Its invocation stands at platform; its "
            "training holds all from the first dispatch to the last answer; its container starts were constants in its "
            "scripts and are not drawn."
        )
    return lines


def _counted(rows: pd.DataFrame) -> str:
    name = ", ".join(filter(None, [rows["cell"].iloc[0], rows["system"].iloc[0]]))
    rounds_run = rows.loc[rows["kind"] != START].drop_duplicates(["run_id", "server_round"])
    starts = rows[(rows["kind"] == START) & (rows["part"] == IN_PROCESS)]["seconds"]
    line = f"{name}: n = {rounds_run['run_id'].nunique()}, {len(rounds_run)} rounds; "
    if starts.empty:
        return f"{line}none of its processes started inside a round (pools and nodes start in the set-up)."
    return f"{line}cold starts measured: {len(starts)}, median {seconds(starts.median())}."


CHART = Chart("fig5", "no finished run has a second round.", data, draw)
