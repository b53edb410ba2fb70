"""Whether two systems differ, cell by cell: ratios within pairs of one seed, how surprising, and the noise floor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from metrics.analysis.comparisons.noise_floor import noise_floors
from metrics.analysis.kpis import KPIS
from metrics.analysis.labels import PAIRED_BY
from metrics.analysis.statistics import FEWEST, median, permutation_p

_UNITS = ("s", "cpu_s", "bytes", "usd")  # of quantities that are above zero, so that a ratio says something
COMPARED = tuple(kpi for kpi in KPIS if kpi.unit in _UNITS and kpi.column != "usd_to_target")  # that may be censored


def differences(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare every two systems of each cell in every KPI that is a time, an amount or a price.

    Parameters
    ----------
    runs
        Rows of :func:`metrics.analysis.kpis.per_run`; unfinished ones are left out.

    Returns
    -------
    DataFrame
        A row per cell, pair of systems and KPI that has pairs: ``n`` pairs (of one seed, with equal workers and
        threads; of repeats the geometric mean), ``ratio`` (a :class:`~metrics.analysis.statistics.Median` of ``right``
        over ``left``), ``p_value`` (of no difference, by permutation of the signs of the logarithms; null below n = 6),
        not corrected for how many there are, and ``floor`` and ``floor_pairs``
        (:func:`~metrics.analysis.comparisons.noise_floor.noise_floors`; null without repeats).
    """
    finished = runs[runs["status"] == "success"]
    rows = [row for _, of_cell in finished.groupby("cell", sort=False) for row in _of_cell(of_cell)]
    found = pd.DataFrame(rows, columns=["cell", "left", "right", "kpi", "n", "ratio", "p_value"])
    floors = noise_floors(finished, [kpi.column for kpi in COMPARED]).add_prefix("floor_")
    return found.join(floors.rename(columns={"floor_floor": "floor"}), on=["cell", "kpi"])


def is_noise(test: Mapping[str, Any]) -> bool | None:
    """Whether a difference is no larger than those between repeats of one system; ``None`` without repeats."""
    return None if pd.isna(test["floor"]) else max(test["ratio"].value, 1 / test["ratio"].value) <= test["floor"]


def _of_cell(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    keys, columns = [*PAIRED_BY, "repeat"], [kpi.column for kpi in COMPARED]
    latest = runs.drop_duplicates([*keys, "system"], keep="last")
    of_system = {
        str(name): rows[[*keys, *columns]].astype(dict.fromkeys(columns, "float64"))
        for name, rows in latest.groupby("system", sort=False)
    }
    for left, right in combinations(of_system, 2):
        paired = of_system[left].merge(of_system[right], on=keys, suffixes=("_left", "_right"))
        for kpi in COMPARED:
            below, above = paired[f"{kpi.column}_left"], paired[f"{kpi.column}_right"]
            steps = pd.Series(np.log((above / below)[(below > 0) & (above > 0)]))
            if len(steps):
                ratio = np.exp(steps.groupby([paired[key] for key in PAIRED_BY]).mean())
                yield {
                    "cell": runs["cell"].iloc[0],
                    "left": left,
                    "right": right,
                    "kpi": kpi.column,
                    "n": len(ratio),
                    "ratio": median(ratio),
                    "p_value": permutation_p(np.log(ratio)),
                }


def compared(test: Mapping[str, Any]) -> str:
    """Say which systems of which cell a row of :func:`differences` compares."""
    return ", ".join(filter(None, [test["cell"], f"{test['right']} over {test['left']}"]))


def write_p(n: int, p_value: float | None) -> str:
    """Write how surprising a difference would be if there were none.

    Examples
    --------
    >>> write_p(2, None), write_p(6, 0.03125), write_p(20, 0.0002)
    ('n too small', 'p = 0.031', 'p < 0.001')
    """
    if n < FEWEST or p_value is None or np.isnan(p_value):
        return "n too small"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
