"""CPU seconds and memory of a whole run, by system and by what its processes are for."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from metrics.analysis.labels import label_runs
from metrics.collect.row_types import PROCESSES
from metrics.collect.tables import Tables
from metrics.collect.units import write
from metrics.plots.parts.bars import Bar, bars_height, draw_bars, legend_below
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import (
    LEGEND_LINES,
    OTHER,
    ROLES,
    annotate,
    new_figure,
    source_notes,
    under,
    what_was_learnt,
    wrapped,
)

_KEYS = ["cell", "system", "backend"]
_REST = "not sampled"
_GIB = 2**30


def data(tables: Tables) -> pd.DataFrame:
    """Return a row per cell, system and role: medians over the finished runs.

    ``cpu_s`` is what a role's processes had used by the last sample; what no sample saw is in the role ``not sampled``,
    so that the roles add up to the run's own figure. ``rss_bytes`` is the role's resident
    memory at the moment at which the run used the most. Pods of a cluster come on top.
    """
    runs = label_runs(tables["runs"])
    finished = runs[runs["status"] == "success"]
    sampled = dict(list(tables["samples"].groupby("run_id")))
    by_run = [
        _used(sampled[run_id], cpu_s).assign(run_id=run_id)
        for run_id, cpu_s in zip(finished["run_id"], finished["cpu_s"], strict=True)
        if run_id in sampled
    ]
    if not by_run:
        return pd.DataFrame()
    found = finished[["run_id", *_KEYS]].merge(pd.concat(by_run), on="run_id", sort=False)
    n = found.groupby(_KEYS, sort=False)["run_id"].nunique().rename("n")
    totals = found.groupby([*_KEYS, "role"], sort=False)[["cpu_s", "rss_bytes"]].median()
    return totals.reset_index().merge(n.reset_index(), on=_KEYS)


def _used(samples: pd.DataFrame, cpu_s: float) -> pd.DataFrame:
    """Return what each role of a run used: of its processes here, which make up ``cpu_s``, and of its pods.

    Pods are seen at other moments than processes: each source has a peak of its own, and they are added.
    """
    sources = samples["source"].fillna(PROCESSES) if "source" in samples else pd.Series(PROCESSES, samples.index)
    found = {source: usage_by_role(part) for source, part in samples.groupby(sources)}
    if PROCESSES in found:
        found[PROCESSES] = _with_rest(found[PROCESSES], cpu_s)
    return pd.concat(found.values()).groupby("role", sort=False, as_index=False).sum()


def _with_rest(usage: pd.DataFrame, cpu_s: float) -> pd.DataFrame:
    """Add what a run is known to have used beyond its samples, if it is known."""
    rest = cpu_s - usage["cpu_s"].sum()
    if not rest > 0:
        return usage
    return pd.concat([usage, pd.DataFrame([{"role": _REST, "cpu_s": rest, "rss_bytes": 0.0}])], ignore_index=True)


def usage_by_role(samples: pd.DataFrame) -> pd.DataFrame:
    """Return CPU seconds and memory at the run's peak of each role, from the samples of one run.

    Where a run was resumed, the CPU seconds begin at nought again: only the rises are summed.
    """
    cpu_s, rss = _by_time(samples, "cpu_s"), _by_time(samples, "rss_bytes")
    rises = cpu_s.diff().fillna(cpu_s).clip(lower=0.0)
    at_peak = rss.iloc[int(rss.sum(axis="columns").argmax())]
    return pd.DataFrame({"cpu_s": rises.sum(), "rss_bytes": at_peak}).rename_axis("role").reset_index()


def _by_time(samples: pd.DataFrame, column: str) -> pd.DataFrame:
    return samples.pivot_table(index="sampled_at", columns="role", values=column).sort_index().fillna(0.0)


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw two panels per cell: CPU seconds, and memory at its peak."""
    cells = list(shown["cell"].unique())
    notes = wrapped(
        "Every process of a run, set-up included, sampled once a second and at its end; not sampled: used where no "
        "sample saw it. Medians over n runs. Memory: sum of the resident "
        "sets at the run's highest moment; pages that processes share count in each.",
        *source_notes(tables),
    )
    figure, axes = new_figure(len(cells), 2, bars_height(shown), below=len(notes) + LEGEND_LINES)
    for (cpu, rss), cell in zip(axes, cells, strict=True):
        rows = shown[shown["cell"] == cell]
        draw_bars(cpu, _bars(rows, "cpu_s", 1.0, "cpu_s"), ROLES, x_label="CPU seconds", labelled=True)
        draw_bars(rss, _bars(rows, "rss_bytes", _GIB, "bytes"), ROLES, x_label="GiB", labelled=False)
        cpu.set_title(under(cell, "CPU, whole run"))
        rss.set_title("Memory at its peak")
    present = sorted(shown["role"].unique(), key=_rank)
    legend_below(figure, {role: ROLES.get(role, OTHER) for role in present}, notes=len(notes))
    annotate(figure, "CPU seconds and memory by role", what_was_learnt(tables), notes)
    return figure


def _bars(rows: pd.DataFrame, column: str, scale: float, unit: str) -> list[Bar]:
    bars = []
    for (system, backend, n), of_system in rows.groupby(["system", "backend", "n"], sort=False):
        ranked = of_system.sort_values("role", key=lambda roles: roles.map(_rank))
        parts = dict(zip(ranked["role"], ranked[column] / scale, strict=True))
        bars.append(Bar(f"{system}\nn = {n}", str(backend), parts, write(float(ranked[column].sum()), unit)))
    return bars


def _rank(role: str) -> int:
    return list(ROLES).index(role) if role in ROLES else len(ROLES)


CHART = Chart("cpu_memory", "no finished run has samples of its processes.", data, draw)
