"""Systems are compared within pairs of one seed, and nothing is called a difference below six of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.analysis.comparisons.paired_tests import differences, is_noise, write_p
from metrics.analysis.kpis import per_run, per_system
from metrics.analysis.statistics import holm
from metrics.collect.row_files import append, read_run
from metrics.collect.row_types import RunRow
from metrics.collect.tables import collect, load
from metrics.report.answer import answer
from metrics.report.difference_tables import paired_tests


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


def repeated(runs: pd.DataFrame, **factors: float) -> pd.DataFrame:
    """Add a repeat of each run, with some KPIs larger by a factor."""
    again = runs.assign(
        repeat=1, run_id=runs["run_id"] + "-r1", **{name: runs[name] * by for name, by in factors.items()}
    )
    return pd.concat([runs, again], ignore_index=True)


def test_repeats_of_a_seed_are_one_pair_and_give_the_noise_floor(make_experiment: Callable[..., Path]) -> None:
    runs = per_run(load(make_experiment(seeds=range(6))))
    once = differences(runs).set_index(["left", "right", "kpi"])
    tests = differences(repeated(runs, warm_round_s=1.5)).set_index(["left", "right", "kpi"])
    assert once["floor"].isna().all()
    pair = ("inprocess", "flower", "warm_round_s")
    assert tests.loc[pair, "n"] == 6
    assert tests.loc[pair, "ratio"].value == pytest.approx(once.loc[pair, "ratio"].value)
    assert tests.loc[pair, "floor"] == pytest.approx(1.5)
    assert tests.loc[pair, "floor_pairs"] == 18
    assert is_noise(tests.loc[pair].to_dict()) is True  # 1.3 times as long, where repeats differ by 1.5
    assert is_noise(tests.loc[("inprocess", "flower", "first_round_s")].to_dict()) is False
    assert is_noise(once.loc[pair].to_dict()) is None


def test_the_mean_of_its_repeats_stands_for_a_seed(make_experiment: Callable[..., Path]) -> None:
    runs = per_run(load(make_experiment(seeds=range(3))))
    once = per_system(runs).set_index("system")
    twice = per_system(repeated(runs, wall_s=3.0)).set_index("system")
    assert list(twice["n"]) == [3, 3, 3]
    for system in once.index:
        assert twice.loc[system, "wall_s"].value == pytest.approx(2 * once.loc[system, "wall_s"].value)
        assert twice.loc[system, "warm_round_s"].value == pytest.approx(once.loc[system, "warm_round_s"].value)


def test_a_repeat_is_compared_with_the_same_repeat_of_the_bare_loop(
    make_experiment: Callable[..., Path], row_makers: dict[str, Callable[..., Any]]
) -> None:
    folder = make_experiment(seeds=range(2))
    for row in load(folder)["runs"].itertuples():
        rounds = [row_makers["rounds"](f"{row.run_id}-r1", number, train_s=20.0) for number in (1, 2, 3)]
        run = replace(RunRow(**read_run(folder / "runs" / row.run_id, "runs").to_pylist()[0]), repeat=1)
        directory = folder / "runs" / f"{row.run_id}-r1"
        directory.mkdir()
        append(directory, replace(run, run_id=f"{row.run_id}-r1"))
        append(directory, *rounds)
    collect(folder)
    overhead = per_run(load(folder)).set_index(["backend", "repeat"])["overhead"]
    assert set(overhead["inprocess"]) == {1.0}
    assert set(overhead[("openwhisk", 1)]) == {1.0}  # both took 21.05 s


def test_the_report_calls_a_difference_within_the_noise_floor_none(make_experiment: Callable[..., Path]) -> None:
    runs = repeated(per_run(load(make_experiment(seeds=range(6)))), warm_round_s=1.5)
    tests = differences(runs)
    table, rules = paired_tests(tests)
    assert table is not None
    assert table.header[-1] == "noise floor"
    (section,) = [rows for rows in table.sections if rows[0][0] == "flower over inprocess"]
    assert {row[1]: row[-1] for row in section}["later rounds, median"] == "1.50×: none"
    assert "Noise floor" in rules[-1]
    said = answer(runs, tests).text
    assert "are level" in said
    assert "repeats of one system differ by up to 1.50×" in said


def test_p_values_of_a_table_are_corrected_for_how_many_they_are(make_experiment: Callable[..., Path]) -> None:
    tests = differences(per_run(load(make_experiment(seeds=range(6)))))
    table, rules = paired_tests(tests)
    assert table is not None
    assert all(float(row[4]) >= 2 / 2**6 for row in table.rows)
    assert min(float(row[4]) for row in table.rows) == pytest.approx(min(1, len(table.rows) * 2 / 2**6), abs=0.001)
    assert f"corrected for the {len(table.rows)} tests" in rules[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_makes_a_p_value_smaller_nor_changes_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, corrected, strict=True))
    assert sorted(corrected) == [after for _, after in sorted(zip(p_values, corrected, strict=True))]
    assert min(corrected) == min(1.0, len(p_values) * min(p_values))


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
