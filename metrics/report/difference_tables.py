"""Whether systems differ by more than chance, as text: pairs of one seed, where there are enough of them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from metrics.analysis.comparisons.paired_tests import COMPARED, compared, write_p
from metrics.analysis.statistics import FEWEST, write_median
from metrics.collect.tables import records
from metrics.report.table import Table

TITLE = "Differences, paired by seed"
_SHOWN = (
    "warm_round_s",
    "first_round_s",
    "to_first_round_s",
    "wall_s",
    "cpu_s",
    "peak_total_rss_bytes",
    "usd_per_round",
)
_TITLES = {kpi.column: kpi.title for kpi in COMPARED}


def paired_tests(tests: pd.DataFrame) -> tuple[Table | None, list[str]]:
    """Return a table of the differences that can be tested, and the rules by which it is read.

    Parameters
    ----------
    tests
        Rows of :func:`metrics.analysis.comparisons.paired_tests.differences`.
    """
    found = tests[tests["kpi"].isin(_SHOWN)]
    if found.empty:
        return None, []
    most = int(found["n"].max())
    if most < FEWEST:
        return None, [f"Differences between systems: n too small for a test ({most} paired by seed, {FEWEST} needed)."]
    enough = found[found["n"] >= FEWEST]
    sections = tuple(
        tuple(_row(test, place) for place, test in enumerate(records(of_pair)))
        for _, of_pair in enough.groupby(["cell", "left", "right"], sort=False)
    )
    return Table(("", "KPI", "n", "ratio", "p"), sections, labels=2), [
        "Differences: ratios within pairs of one seed, their median with its exact interval; p: two-sided permutation "
        "test of the mean logarithm, not corrected for the number of tests.",
    ]


def _row(test: dict[str, Any], place: int) -> tuple[str, ...]:
    p_value = write_p(test["n"], test["p_value"]).removeprefix("p = ").removeprefix("p ")
    return (
        compared(test) if not place else "",
        _TITLES[test["kpi"]],
        str(test["n"]),
        write_median(test["ratio"], "ratio"),
        p_value,
    )
