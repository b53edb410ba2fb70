"""The figures a run is judged by, against runs whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.analysis.kpis import KPIS, per_run, per_system, phase_shares
from metrics.analysis.labels import common_label, label_runs
from metrics.collect.phases import GROUPS, PHASES, UNATTRIBUTED
from metrics.collect.row_types import TABLES, RoundRow, RunRow
from metrics.collect.tables import collect, load
from metrics.collect.units import write

Makers = dict[str, Callable[..., Any]]


def frames(runs: list[RunRow], rounds: list[RoundRow]) -> dict[str, pd.DataFrame]:
    empty = {name: pd.DataFrame() for name in TABLES}
    return empty | {"runs": pd.DataFrame(runs), "rounds": pd.DataFrame(rounds, columns=list(RoundRow.__annotations__))}


def test_every_phase_is_in_exactly_one_group() -> None:
    grouped = [phase for phases in GROUPS.values() for phase in phases]
    assert sorted(grouped) == sorted([*PHASES, UNATTRIBUTED])


def test_every_kpi_has_a_unit_that_can_be_written() -> None:
    assert all(write(1.0, kpi.unit) for kpi in KPIS)


def test_the_first_round_after_a_resumption_is_not_among_the_later_ones(row_makers: Makers) -> None:
    taken = {1: (0, 9.0), 2: (0, 2.0), 3: (1, 8.0), 4: (1, 3.0), 5: (2, 7.0)}
    rounds = [row_makers["rounds"]("r", number, part=part, train_s=took) for number, (part, took) in taken.items()]
    (found,) = per_run(frames([row_makers["runs"]("r", rounds)], rounds)).to_dict("records")
    assert (found["warm_rounds"], found["warm_round_s"]) == (2, pytest.approx(2.5 + 1.05))
    assert found["first_round_s"] == pytest.approx(9.0 + 1.05)


def test_a_run_s_rounds_are_summed_up(row_makers: Makers) -> None:
    train_s = {1: 9.0, 2: 2.0, 3: 4.0, 4: 3.0}
    rounds = [
        row_makers["rounds"]("r", number, train_s=seconds, failures=1, cpu_s=10.0 * number)
        for number, seconds in train_s.items()
    ]
    (found,) = per_run(frames([row_makers["runs"]("r", rounds)], rounds[::-1])).to_dict("records")
    fixed_s = 1.05  # fetch and unattributed
    assert found["first_round_s"] == pytest.approx(9.0 + fixed_s)
    assert found["warm_round_s"] == pytest.approx(3.0 + fixed_s)
    assert found["median_round_s"] == pytest.approx(3.5 + fixed_s)
    assert found["to_first_round_s"] == pytest.approx(5.0 + 9.0 + fixed_s)
    assert found["warm_rounds"] == 3
    assert found["train_share"] == pytest.approx(9.0 / (9.0 + 3 * fixed_s))  # of the rounds after the first
    assert found["median_unattributed_share"] == pytest.approx((0.05 / (3 + fixed_s) + 0.05 / (4 + fixed_s)) / 2)
    assert (found["cold_starts"], found["attempts"], found["failures"]) == (2, 40, 4)
    assert found["round_cpu_s"] == 25.0


def test_shares_add_up_to_one(row_makers: Makers) -> None:
    rounds = [row_makers["rounds"]("r", number, train_s=number * 1.5, wait_s=0.3) for number in (1, 2, 3)]
    tables = frames([row_makers["runs"]("r", rounds)], rounds)
    assert sum(phase_shares(tables["rounds"]).values()) == pytest.approx(1)
    (system,) = per_system(per_run(tables)).to_dict("records")
    assert sum(system[group] for group in GROUPS) == pytest.approx(1)


def test_a_single_round_is_cold_and_leaves_no_later_ones(row_makers: Makers) -> None:
    rounds = [row_makers["rounds"]("r", 1)]
    (found,) = per_run(frames([row_makers["runs"]("r", rounds)], rounds)).to_dict("records")
    assert pd.isna(found["warm_round_s"])
    assert pd.isna(found["overhead"])
    assert found["train_share"] == pytest.approx(2 / 3.05)


def test_a_run_that_failed_in_its_set_up_is_kept_with_nothing_measured(row_makers: Makers) -> None:
    good = [row_makers["rounds"]("good", number) for number in (1, 2)]
    runs = [
        row_makers["runs"]("good", good),
        row_makers["runs"]("bad", [], backend="flower", status="failed", error="no Ray", max_rounds=2),
    ]
    found = per_run(frames(runs, good)).set_index("run_id")
    assert pd.isna(found.loc["bad", "first_round_s"])
    summary = per_system(per_run(frames(runs, good))).set_index("system")
    assert (summary.loc["flower", "n"], summary.loc["flower", "unfinished"]) == (0, 1)
    assert pd.isna(summary.loc["flower", "warm_round_s"].value)
    assert summary.loc["inprocess", "n"] == 1
    only_bad = per_system(per_run(frames(runs[1:], [])))
    assert list(only_bad["n"]) == [0]


def test_overhead_is_paired_by_seed_and_configuration(row_makers: Makers) -> None:
    runs, rounds = [], []

    def add(run_id: str, train_s: float, **changes: Any) -> None:
        mine = [row_makers["rounds"](run_id, number, train_s=train_s, unattributed_s=0.0) for number in (1, 2)]
        runs.append(row_makers["runs"](run_id, mine, **changes))
        rounds.extend(mine)

    add("lowest-0", 1.0, seed=0)
    add("lowest-1", 3.0, seed=1)
    add("flower-0", 3.0, seed=0, backend="flower")
    add("flower-1", 5.0, seed=1, backend="flower")
    add("flower-2", 5.0, seed=2, backend="flower")
    add("more-epochs", 5.0, seed=0, backend="flower", local_epochs=10)
    add("more-workers", 5.0, seed=0, backend="flower", workers=4)
    add("failed", 5.0, seed=1, backend="openwhisk", status="failed")
    found = per_run(frames(runs, rounds)).set_index("run_id")["overhead"]
    assert found["flower-0"] == pytest.approx(4 / 2)
    assert found["flower-1"] == pytest.approx(6 / 4)
    assert found["lowest-1"] == 1.0
    assert found[["flower-2", "more-epochs", "more-workers", "failed"]].isna().all()


def test_a_failed_bare_loop_is_no_baseline(row_makers: Makers) -> None:
    rounds = {name: [row_makers["rounds"](name, number) for number in (1, 2)] for name in ("lowest", "flower")}
    runs = [
        row_makers["runs"]("lowest", rounds["lowest"], status="interrupted"),
        row_makers["runs"]("flower", rounds["flower"], backend="flower"),
    ]
    assert per_run(frames(runs, [*rounds["lowest"], *rounds["flower"]]))["overhead"].isna().all()


def test_a_target_that_was_not_reached_is_censored_not_dropped(row_makers: Makers) -> None:
    runs, rounds = [], []
    for seed, best in enumerate((0.96, 0.8, 0.7)):
        mine = [row_makers["rounds"](f"r{seed}", number, test_accuracy=best) for number in (1, 2)]
        runs.append(row_makers["runs"](f"r{seed}", mine, seed=seed, target_accuracy=0.95))
        rounds += mine
    found = per_run(frames(runs, rounds))
    assert list(found["is_censored"]) == [False, True, True]
    assert list(found["rounds_to_target"]) == [1, 2, 2]
    (system,) = per_system(found).to_dict("records")
    assert (system["rounds_to_target"].value, system["rounds_to_target"].is_lower_bound) == (2, True)
    assert system["rounds_to_target"].n == 3


def test_without_a_target_nothing_is_censored(row_makers: Makers) -> None:
    rounds = [row_makers["rounds"]("r", 1)]
    found = per_run(frames([row_makers["runs"]("r", rounds)], rounds))
    assert not found["is_censored"].any()
    assert found["rounds_to_target"].isna().all()


def test_collected_tables_give_a_row_per_system_in_the_order_shown(make_experiment: Callable[..., Path]) -> None:
    summary = per_system(per_run(load(make_experiment(seeds=range(6)))))
    assert list(summary["system"]) == ["inprocess", "flower", "openwhisk (emulated)"]
    assert list(summary["n"]) == [6, 6, 6]
    assert all(found.low is not None for found in summary["warm_round_s"])


def test_cells_are_told_apart_by_what_differs_and_sorted_by_number(row_makers: Makers) -> None:
    runs = [row_makers["runs"](f"r{chosen}", [], clients_per_round=chosen) for chosen in (12, 3, 6)]
    labelled = label_runs(pd.DataFrame(runs))
    assert list(labelled["cell"]) == ["3 a round", "6 a round", "12 a round"]
    assert "a round" not in common_label(labelled)
    assert common_label(labelled).startswith("nn, adam, rate 0.001, batch 10, E=5, of 100 clients")


def test_alpha_tells_cells_apart_although_only_the_configuration_has_it(row_makers: Makers) -> None:
    runs = [
        row_makers["runs"](f"r{alpha}", [], partition="dirichlet", config=f'{{"partition": {{"alpha": {alpha}}}}}')
        for alpha in (0.1, 0.5)
    ]
    assert list(label_runs(pd.DataFrame(runs))["cell"]) == ["dirichlet(0.1)", "dirichlet(0.5)"]


def test_systems_of_one_backend_are_told_apart(row_makers: Makers) -> None:
    runs = [
        row_makers["runs"]("a", [], backend="flower", runtime="simulation"),
        row_makers["runs"]("b", [], backend="flower", runtime="deployment"),
        row_makers["runs"]("c", [], backend="openwhisk", runtime="embedded", emulated=True),
    ]
    systems = list(label_runs(pd.DataFrame(runs))["system"])
    assert systems == ["flower (deployment)", "flower (simulation)", "openwhisk (emulated)"]


def test_systems_are_shown_from_the_baseline_to_platforms_that_nobody_named_here_and_fabrics(
    row_makers: Makers,
) -> None:
    platforms = {"fabric": "fabric two", "toy": "toy", "google": "google", "flower": None, "inprocess": None}
    runs = [
        row_makers["runs"](name, [], backend=name, platform=platform, emulated=False, config="{}")
        for name, platform in platforms.items()
    ]
    systems = list(label_runs(pd.DataFrame(runs))["backend"])
    assert systems == ["inprocess", "flower", "google", "toy", "fabric"]


def test_no_runs_at_all_is_an_empty_answer(tmp_path: Path) -> None:
    collect(tmp_path)
    assert per_system(per_run(load(tmp_path))).empty


def test_a_run_without_functions_stands_beside_every_policy_of_functions_that_learn_the_same(
    row_makers: Makers,
) -> None:
    def run(name: str, k: int, **changes: Any) -> Any:
        config = json.dumps({"round_policy": {"name": "first_k", "k": k}})
        return row_makers["runs"](name, [row_makers["rounds"](name, 1)], config=config, **changes)

    runs = pd.DataFrame(
        [
            run("flower", 4, backend="flower", platform=None),
            run("alone", 4, backend="flower", platform=None, clients_per_round=5),
            *(run(f"openwhisk-{k}", k, backend="openwhisk", platform="openwhisk") for k in (4, 6)),
        ]
    )
    cells = label_runs(runs).groupby("cell")["run_id"].agg(set)
    assert sorted(map(sorted, cells)) == [["alone"], ["flower", "openwhisk-4"], ["flower", "openwhisk-6"]]


def test_a_table_that_was_changed_gets_labels_of_its_own(row_makers):
    runs = pd.DataFrame([row_makers["runs"]("r", []), row_makers["runs"]("s", [], local_epochs=1)])
    first = label_runs(runs)
    first["cell"] = "spoilt"
    assert list(label_runs(runs)["cell"]) == ["E=1", "E=5"]
    runs.loc[1, "local_epochs"] = 7
    assert list(label_runs(runs)["cell"]) == ["E=5", "E=7"]


@pytest.mark.parametrize(("runtime", "is_known"), [("embedded", True), ("cluster", False), ("mixed", False)])
def test_the_controllers_alone_does_not_stand_beside_systems_that_are_counted_whole(
    row_makers: Makers, runtime: str, is_known: bool
) -> None:
    rounds = [row_makers["rounds"]("r", 1)]
    run = row_makers["runs"]("r", rounds, backend="openwhisk", platform="openwhisk", runtime=runtime)
    (found,) = per_run(frames([run], rounds)).to_dict("records")
    assert [pd.notna(found[name]) for name in ("cpu_s", "peak_total_rss_bytes")] == [is_known, is_known]
    assert found["round_cpu_s"] == 4.0  # the probe's, which is in the functions
