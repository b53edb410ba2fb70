"""Systems are compared within pairs of one seed, and nothing is called a difference below six of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from metrics.analysis.comparisons.paired_tests import differences, write_p
from metrics.analysis.kpis import per_run
from metrics.collect.tables import load


def found(folder: Path, kpi: str = "warm_round_s") -> pd.DataFrame:
    tests = differences(per_run(load(folder)))
    return tests[tests["kpi"] == kpi].set_index(["left", "right"])


def test_ratios_are_of_pairs_and_six_seeds_suffice_for_a_test(make_experiment: Callable[..., Path]) -> None:
    tests = found(make_experiment(seeds=range(6)))
    flower = tests.loc[("inprocess", "flower")]
    assert flower["n"] == 6
    assert flower["ratio"].value == pytest.approx(4.375 / 3.375, abs=0.001)
    assert flower["ratio"].low is not None
    assert flower["p_value"] == pytest.approx(2 / 2**6)  # all six signs alike, two-sided, exact
    assert list(tests.index) == [
        ("inprocess", "flower"),
        ("inprocess", "openwhisk (emulated)"),
        ("flower", "openwhisk (emulated)"),
    ]


def test_below_six_there_is_no_p_value(make_experiment: Callable[..., Path]) -> None:
    tests = found(make_experiment(seeds=range(5)))
    assert set(tests["n"]) == {5}
    assert tests["p_value"].isna().all()
    assert write_p(5, None) == write_p(5, 0.01) == "n too small"


def test_equal_systems_are_no_surprise(make_experiment: Callable[..., Path]) -> None:
    tests = found(make_experiment(seeds=range(6)), "cpu_s")
    assert set(tests["p_value"]) == {1.0}


def test_runs_without_a_partner_have_no_part(make_experiment: Callable[..., Path]) -> None:
    runs = per_run(load(make_experiment(seeds=range(7))))
    runs.loc[(runs["backend"] == "flower") & (runs["seed"] == 3), "status"] = "failed"
    runs.loc[(runs["backend"] == "flower") & (runs["seed"] == 4), "workers"] = 9
    tests = differences(runs)
    assert set(tests.loc[tests["right"] == "flower", "n"]) == {5}
    assert set(tests.loc[tests["right"] == "openwhisk (emulated)", "n"]) == {7, 5}
