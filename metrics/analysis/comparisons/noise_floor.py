"""How much two repeats of one run differ: below that, a difference between systems says nothing (an A/A test)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from metrics.analysis.labels import PAIRED_BY

QUANTILE = 0.95  # of the differences between repeats; the floor of few repeats is close to the largest one


def noise_floors(runs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return, per cell and KPI, the ratio that 95 % of the pairs of repeats stay below.

    Parameters
    ----------
    runs
        Finished rows of :func:`metrics.analysis.kpis.per_run`.
    columns
        KPIs above zero.

    Returns
    -------
    DataFrame
        Index ``cell`` and ``kpi``; ``floor`` (1.05: repeats of one system and seed, with the same weights, differ by up
        to 5 %) and ``pairs``, of two successive repeats. Empty without repeats.
    """
    keys = [*PAIRED_BY, "system"]
    ordered = runs.sort_values("repeat").drop_duplicates([*keys, "repeat"], keep="last")
    values = ordered[list(columns)].astype("float64")
    logarithms = pd.DataFrame(np.log(values.where(values > 0)))
    steps = logarithms.groupby([ordered[key] for key in keys], dropna=False).diff().abs()
    steps = steps.assign(cell=ordered["cell"].astype("str"))  # also where there is none
    each = steps.melt(id_vars="cell", var_name="kpi", value_name="step").dropna(subset=["step"])
    grouped = each.groupby(["cell", "kpi"], sort=False)["step"]
    return pd.DataFrame({"floor": np.exp(grouped.quantile(QUANTILE)), "pairs": grouped.size()})
