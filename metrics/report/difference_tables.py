"""Whether systems differ by more than chance, as text: pairs of one seed, where there are enough of them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from metrics.analysis.comparisons.noise_floor import QUANTILE
from metrics.analysis.comparisons.paired_tests import COMPARED, compared, is_noise, write_p
from metrics.analysis.statistics import FEWEST, holm, write_median
from metrics.collect.tables import records
from metrics.collect.units import write
from metrics.report.table import Table

TITLE = "Differences, paired by seed"
SIGNIFICANT = 0.05
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
    enough = enough.assign(p_value=holm(list(enough["p_value"])))
    has_floor = bool(enough["floor"].notna().any())
    sections = tuple(
        tuple(_row(test, place, has_floor=has_floor) for place, test in enumerate(records(of_pair)))
        for _, of_pair in enough.groupby(["cell", "left", "right"], sort=False)
    )
    rules = [
        "Differences: ratios within pairs of one seed, their median with its exact interval; p: two-sided permutation "
        f"test of the mean logarithm, corrected for the {len(enough)} tests of the table (Holm){_least(enough)}."
    ]
    if has_floor:
        pairs = int(enough["floor_pairs"].min())
        rules.append(
            f"Noise floor: {QUANTILE:.0%} of the repeats of one system and seed differ by less (n = {pairs} pairs or "
            "more); a difference within it is none."
        )
    return Table(("", "KPI", "n", "ratio", "p", *(["noise floor"] if has_floor else [])), sections, labels=2), rules


def _least(tests: pd.DataFrame) -> str:
    """Say which p-value none of some tests can be below, because their pairs are too few, if that matters."""
    most = int(tests["n"].max())
    least = min(1.0, len(tests) * 2 / 2**most)
    return f"; with n = {most} none can be below {least:.2f}: only more seeds help" if least > SIGNIFICANT else ""


def _row(test: dict[str, Any], place: int, *, has_floor: bool) -> tuple[str, ...]:
    p_value = write_p(test["n"], test["p_value"]).removeprefix("p = ").removeprefix("p ")
    return (
        compared(test) if not place else "",
        _TITLES[test["kpi"]],
        str(test["n"]),
        write_median(test["ratio"], "ratio"),
        p_value,
        *([_floor(test)] if has_floor else []),
    )


def _floor(test: dict[str, Any]) -> str:
    noise = is_noise(test)
    return "" if noise is None else write(test["floor"], "ratio") + (": none" if noise else "")
