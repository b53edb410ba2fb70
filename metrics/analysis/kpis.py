"""The figures that a run is judged by, from the tables alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from metrics.analysis.costs import headline
from metrics.analysis.labels import BASELINE, PAIRED_BY, label_runs
from metrics.analysis.statistics import Median, median
from metrics.collect.phases import GROUPS, PHASES, UNATTRIBUTED
from metrics.collect.tables import Tables

Section = Literal["learning", "rounds", "resources", "run", "cost"]


@dataclass(frozen=True)
class Kpi:
    """A figure that a run is judged by.

    Parameters
    ----------
    column
        Its column in :func:`per_run`.
    unit
        One of those of :mod:`metrics.collect.units`.
    section
        Where the table of the systems side by side shows it; ``None``: in the figure ``kpis`` only.
    of_rounds
        Computes it from the rounds of a run, a row each, in their order; ``None`` for what :func:`per_run` has anyway.
    """

    column: str
    title: str
    unit: str
    section: Section | None = None
    of_rounds: Callable[[pd.DataFrame], float] | None = None


KPIS = (
    Kpi("best_test_accuracy", "best accuracy", "accuracy", "learning"),
    Kpi("final_test_accuracy", "final accuracy", "accuracy", "learning"),
    Kpi("rounds_to_target", "rounds to target", "rounds", "learning"),
    Kpi("first_round_s", "first round", "s", "rounds"),
    Kpi("warm_round_s", "later rounds, median", "s", "rounds"),
    Kpi("overhead", "over inprocess", "ratio", "resources"),
    Kpi("median_round_s", "all rounds, median", "s", of_rounds=lambda rounds: rounds["round_s"].median()),
    Kpi("median_unattributed_share", "unattributed, median", "share"),
    Kpi("cpu_s", "CPU, whole run", "cpu_s", "resources"),
    Kpi("round_cpu_s", "CPU, median round", "cpu_s", "resources", lambda rounds: rounds["cpu_s"].median()),
    Kpi("peak_total_rss_bytes", "peak memory", "bytes", "resources"),
    Kpi("cold_starts", "cold starts", "count", "resources"),
    Kpi("cold_share", "cold, later rounds", "share", "resources"),
    Kpi("failures", "failed attempts", "count", "resources"),
    Kpi("setup_s", "set-up", "s", "run"),
    Kpi("to_first_round_s", "set-up + first round", "s", "run"),
    Kpi("wall_s", "whole run", "s", "run"),
    Kpi("usd_per_round", "USD per round", "usd", "cost"),
    Kpi("usd_to_target", "USD to target", "usd", "cost"),
    Kpi("usd", "USD, whole run", "usd"),
    Kpi("accuracy_per_usd", "accuracy per USD", "per_usd", "cost"),
)
_OF_ALL_PROCESSES = ("cpu_s", "peak_total_rss_bytes")
_CENSORED = ("rounds_to_target", "usd_to_target")


def per_run(tables: Tables) -> pd.DataFrame:
    """Return one row per run: the labelled table of runs with every KPI as a column.

    ``first_round_s`` is the first round, which holds what of a start a system did not do in its set-up, and
    ``to_first_round_s`` both; ``warm_round_s`` is the median of the rounds after it (null if there is none),
    of a resumed run without the first round of each part;
    ``<phase>_share`` is each phase's part of the whole time of those later rounds (of the first, if there is no other),
    so that the shares add up to 1. A target that was not reached has ``rounds_to_target`` set to the rounds that were
    run and ``is_censored`` true. ``cold_share`` is the part of the attempts of the later rounds that began in a new
    process. ``overhead`` is ``warm_round_s`` over that of the bare loop's run of the same cell,
    seed, workers and threads; null without such a run. The costs are those of the first scenario of the table ``cost``
    (:func:`metrics.analysis.costs.per_scenario`), null without it. ``cpu_s`` and ``peak_total_rss_bytes`` are null
    where functions were on other machines: the controller's alone must not stand beside systems that are counted whole.
    """
    runs = label_runs(tables["runs"])
    found = runs.merge(_round_kpis(tables["rounds"]), on="run_id", how="left")
    found = found.merge(headline(tables), on="run_id", how="left")
    found["is_censored"] = found["target_accuracy"].notna() & found["rounds_to_target"].isna()
    found["rounds_to_target"] = found["rounds_to_target"].where(~found["is_censored"], found["rounds"])
    found["to_first_round_s"] = found["setup_s"] + found["first_round_s"]
    found["overhead"] = _overhead(found)
    found[list(_OF_ALL_PROCESSES)] = found[list(_OF_ALL_PROCESSES)].mask(ran_elsewhere(found))
    return found


def ran_elsewhere(runs: pd.DataFrame) -> pd.Series[bool]:
    """Whether functions of a run were on other machines, where nobody counted what their processes used."""
    return runs["runtime"].isin(["cluster", "mixed"])


def _round_kpis(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, of what its rounds took."""
    rows = [_kpis_of(str(run_id), of_run.sort_values("server_round")) for run_id, of_run in rounds.groupby("run_id")]
    return pd.DataFrame(rows, columns=[*_kpis_of("", rounds.iloc[:0])])


def phase_shares(rounds: pd.DataFrame) -> dict[str, float]:
    """Return each phase's part of the whole time of some rounds, ``unattributed`` included; they add up to 1.

    Of no rounds at all, every part is NaN.
    """
    total_s = rounds["round_s"].sum() if len(rounds) else math.nan
    return {part: float(rounds[f"{part}_s"].sum() / total_s) for part in (*PHASES, UNATTRIBUTED)}


def _kpis_of(run_id: str, rounds: pd.DataFrame) -> dict[str, object]:
    warm = rounds[rounds["part"].duplicated()]  # a run that was resumed has a cold first round in each of its parts
    shares = phase_shares(warm if len(warm) else rounds)
    return {
        "run_id": run_id,
        "warm_rounds": len(warm),
        "first_round_s": rounds["round_s"].iloc[0] if len(rounds) else None,
        "warm_round_s": warm["round_s"].median(),
        "median_unattributed_share": (rounds["unattributed_s"] / rounds["round_s"]).median(),
        "cold_starts": rounds["cold_starts"].sum(),
        "cold_share": warm["cold_starts"].sum() / warm["attempts"].sum() if len(warm) else None,
        "attempts": rounds["attempts"].sum(),
        "failures": rounds["failures"].sum(),
        **{kpi.column: kpi.of_rounds(rounds) for kpi in KPIS if kpi.of_rounds},
        **{f"{part}_share": share for part, share in shares.items()},
    }


def _overhead(runs: pd.DataFrame) -> pd.Series[float]:
    """Return each finished run's ``warm_round_s`` over the bare loop's of the same cell, seed and workers."""
    keys = [*PAIRED_BY, "repeat"]
    finished = runs[runs["status"] == "success"]
    lowest = finished[finished["backend"] == BASELINE].drop_duplicates(keys, keep="last")
    paired = runs[keys].merge(lowest[[*keys, "warm_round_s"]], on=keys, how="left")["warm_round_s"]
    overhead: pd.Series[float] = runs["warm_round_s"] / paired
    return overhead.where(runs["status"] == "success")


def per_system(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell and system: its medians over the finished runs of :func:`per_run`.

    Columns: ``cell``, ``system``, ``backend``, ``emulated``, ``n`` (seeds with a finished run), ``unfinished``, a
    :class:`~metrics.analysis.statistics.Median` for each column of :data:`KPIS`, and a float share for each of
    :data:`metrics.collect.phases.GROUPS` (the mean over the runs, so that they still add up to 1).
    """
    keys = ["cell", "system"]
    rows = [_summary(of_system) for _, of_system in runs.groupby(keys, sort=False)]
    columns = [*keys, "backend", "emulated", "n", "unfinished", *(kpi.column for kpi in KPIS), *GROUPS]
    return pd.DataFrame(rows, columns=columns)


def _summary(runs: pd.DataFrame) -> dict[str, object]:
    finished = _of_seeds(runs[runs["status"] == "success"])
    medians: dict[str, Median] = {
        kpi.column: median(
            finished[kpi.column].astype("float64"),
            list(finished["is_censored"]) if kpi.column in _CENSORED else None,
        )
        for kpi in KPIS
    }
    return {
        "n": len(finished),
        "unfinished": int((runs["status"] != "success").sum()),
        **{name: runs[name].iloc[0] for name in ("cell", "system", "backend", "emulated")},
        **medians,
        **{group: _group_share(finished, phases) for group, phases in GROUPS.items()},
    }


def _of_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row per seed: the mean of its repeats, which are no independent runs."""
    if not runs["repeat"].any():
        return runs
    keys = list(PAIRED_BY)
    numbers = [*(kpi.column for kpi in KPIS), *(f"{phase}_share" for phase in (*PHASES, UNATTRIBUTED))]
    grouped = runs.astype(dict.fromkeys(numbers, "float64")).groupby(keys, sort=False)
    return grouped[numbers].mean().join(grouped["is_censored"].any()).reset_index()


def _group_share(runs: pd.DataFrame, phases: Sequence[str]) -> float:
    return float(runs[[f"{phase}_share" for phase in phases]].astype("float64").sum(axis=1, skipna=False).mean())
