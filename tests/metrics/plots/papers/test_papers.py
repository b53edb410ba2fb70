"""The papers' figures: ours from the tables, theirs beside it where the setting is the same, and never mixed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from metrics.collect.phases import GROUPS
from metrics.collect.tables import collect, load
from metrics.plots import FIGURES, NoDataError, save
from metrics.plots.parts import style
from metrics.published import CHADHA, RGG, grid, rounds, rounds_to_target

pytestmark = pytest.mark.slow

Makers = dict[str, Callable[..., Any]]
Tables = dict[str, pd.DataFrame]
Experiment = Callable[..., Path]
SHARDS = '{"partition": {"shards_per_client": 2}}'


def drawn(name: str, tables: Tables) -> Figure:
    with mpl.rc_context(style.STYLE):
        figure = FIGURES[name].draw(FIGURES[name].data(tables), tables)
        figure.draw_without_rendering()
    return figure


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def labels(figure: Figure) -> set[str]:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return {text.get_text() for legend in legends for text in legend.get_texts()}


@pytest.fixture
def grid_tables(row_makers: Makers) -> Callable[..., Tables]:
    """Runs of two systems that learn the same, by (clients per round, optimizer, seed) -> rounds to 97 %."""

    def make(needed: dict[tuple[int, str, int], int | None], longest: int = 100, **changes: Any) -> Tables:
        runs = [
            replace(
                row_makers["runs"](f"{backend}-{count}-{optimizer}-{seed}", []),
                backend=backend,
                clients_per_round=count,
                optimizer=optimizer,
                seed=seed,
                target_accuracy=0.97,
                rounds=reached or longest,
                rounds_to_target=reached,
                best_test_accuracy=0.97 if reached else 0.9,
                **changes,
            )
            for (count, optimizer, seed), reached in needed.items()
            for backend in ("inprocess", "flower")
        ]
        return {"runs": pd.DataFrame(runs)}

    return make


NEEDED = {(10, "adam", 0): 40, (10, "adam", 1): 60, (30, "adam", 0): 20, (30, "adam", 1): None, (30, "sgd", 0): None}


def test_fig3_counts_each_seed_once_and_drops_no_censored_one(grid_tables: Callable[..., Tables]) -> None:
    shown = FIGURES["fig3"].data(grid_tables(NEEDED))
    ours = shown[shown["source"] == "ours"].set_index(["clients_per_round", "optimizer", "seed"])
    assert ours["rounds_to_target"].to_dict() == {key: value or 100 for key, value in NEEDED.items()}
    assert ours["is_censored"].to_dict() == {key: value is None for key, value in NEEDED.items()}
    assert set(ours["systems"]) == {"inprocess, flower"}
    assert ours.loc[(10, "adam", 0), ["n", "median", "median_is_lower_bound"]].to_list() == [2, 50.0, False]
    assert ours.loc[(30, "adam", 0), ["n", "median", "median_is_lower_bound"]].to_list() == [2, 60.0, True]


def test_fig3_shows_both_answers_of_systems_that_learnt_differently(grid_tables: Callable[..., Tables]) -> None:
    tables = grid_tables(NEEDED)
    tables["runs"].loc[tables["runs"]["run_id"] == "flower-10-adam-0", "rounds_to_target"] = 41
    shown = FIGURES["fig3"].data(tables).query("source == 'ours' and clients_per_round == 10 and seed == 0")
    assert sorted(shown["rounds_to_target"]) == [40, 41]


def test_fig3_lays_published_runs_beside_ours_where_model_epochs_and_target_are_theirs(
    grid_tables: Callable[..., Tables],
) -> None:
    shown = FIGURES["fig3"].data(grid_tables(NEEDED))
    theirs = shown[shown["source"] == CHADHA.short]
    chosen = rounds_to_target().query("model == 'nn' and local_epochs == 5 and optimizer in ('adam', 'sgd')")
    assert sorted(theirs["rounds_to_target"]) == sorted(chosen["rounds_to_target"])
    figure = drawn("fig3", grid_tables(NEEDED))
    assert CHADHA.citation in words(figure)
    assert CHADHA.differences in words(figure)
    assert labels(figure) >= {"adam, n = 2", "sgd, n = 1", "target not reached", f"published, {CHADHA.short}"}
    other = grid_tables(NEEDED)
    other["runs"]["target_accuracy"] = 0.95
    assert set(FIGURES["fig3"].data(other)["source"]) == {"ours"}
    assert "No published value has this setting" in words(drawn("fig3", other))


@pytest.mark.parametrize("change", [{"clients": 50}, {"partition": "iid"}])
def test_fig3_leaves_published_runs_of_another_federation_out(
    grid_tables: Callable[..., Tables], change: dict[str, Any]
) -> None:
    assert set(FIGURES["fig3"].data(grid_tables(NEEDED, **change))["source"]) == {"ours"}


def test_fig3_marks_what_was_not_reached_by_a_hollow_triangle(grid_tables: Callable[..., Tables]) -> None:
    (axes,) = drawn("fig3", grid_tables(NEEDED)).axes
    censored = [line for line in axes.lines if line.get_marker() == "^" and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in censored] == [[100.0], [100.0]]
    assert {line.get_markerfacecolor() for line in censored} == {"white"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "30", "50", "70", "100"]


def test_fig3_needs_something_that_varies_and_a_target(grid_tables: Callable[..., Tables], tmp_path: Path) -> None:
    without_target = grid_tables(NEEDED)
    without_target["runs"]["target_accuracy"] = float("nan")
    for tables in (grid_tables({(10, "adam", 0): 40}), without_target):
        with pytest.raises(NoDataError, match="fig3: no two runs with a target accuracy differ"):
            save(FIGURES["fig3"], tables, tmp_path)


def test_fig4_holds_our_medians_and_all_that_was_published(make_experiment: Experiment) -> None:
    tables = load(make_experiment(seeds=(0, 1), rounds=4, clients_per_round=100, target_accuracy=0.9))
    shown = FIGURES["fig4"].data(tables)
    theirs = shown[shown["backend"] == "published"]
    chosen = rounds().query("model == 'nn' and local_epochs == 5")
    assert list(theirs["round_s"]) == list(chosen["round_s"])
    assert list(theirs["test_accuracy"]) == list(chosen["test_accuracy"])
    flower = shown[(shown["backend"] == "flower") & (shown["quantity"] == "round_s")].set_index("server_round")
    mine = tables["rounds"][tables["rounds"]["run_id"].str.startswith("flower")].groupby("server_round")["round_s"]
    assert flower["round_s"].to_dict() == pytest.approx(mine.median().to_dict())
    figure = drawn("fig4", tables)
    assert CHADHA.citation in words(figure)
    assert CHADHA.differences in words(figure)
    assert f"published, {CHADHA.short} round 97, 41.5 s" in words(figure)
    (dotted,) = [line for line in figure.axes[0].lines if line.get_label().startswith("published")]
    assert max(dotted.get_xdata()) == 5  # 1.25 times our four rounds


@pytest.mark.parametrize(
    "change",
    [{"clients_per_round": 10}, {"optimizer": "sgd"}, {"local_epochs": 1}, {"partition": "iid"}, {"clients": 9}],
)
def test_fig4_is_for_the_published_setting_only(
    make_experiment: Experiment, change: dict[str, Any], tmp_path: Path
) -> None:
    tables = load(make_experiment(**{"clients_per_round": 100, **change}))
    with pytest.raises(NoDataError, match="fig4: no run has the published setting"):
        save(FIGURES["fig4"], tables, tmp_path)


def test_fig5_divides_each_round_into_groups_that_add_up(make_experiment: Experiment) -> None:
    tables = load(make_experiment(seeds=(0, 1), rounds=4))
    shown = FIGURES["fig5"].data(tables)
    of_rounds = shown[shown["kind"].isin(["first", "later"])]
    sums = of_rounds.groupby(["run_id", "server_round"])["seconds"].sum()
    expected = tables["rounds"].set_index(["run_id", "server_round"])["round_s"]
    assert sums.to_dict() == pytest.approx(expected.to_dict())
    assert set(of_rounds["part"]) == set(GROUPS)
    assert set(of_rounds.loc[of_rounds["kind"] == "first", "server_round"]) == {1}
    assert set(of_rounds.loc[of_rounds["kind"] == "later", "server_round"]) == {2, 3, 4}


def test_fig5_container_starts_are_those_that_were_measured(make_experiment: Experiment) -> None:
    tables = load(make_experiment(rounds=3))
    calls = tables["invocations"]
    cold = calls["is_cold"] & (calls["run_id"] == "openwhisk-0")
    calls.loc[cold, "init_s"] = [1.5, 1.75]
    calls.loc[calls["run_id"].isin(["inprocess-0"]), "cold_start_s"] = 0.0  # it started in the set-up
    shown = FIGURES["fig5"].data(tables).query("kind == 'container start'")
    mine = shown[shown["backend"] == "openwhisk"].groupby("part")["seconds"].apply(sorted).to_dict()
    assert mine == {"in the process": [2.0, 2.1], "in the record": [1.5, 1.75]}
    notes = words(drawn("fig5", tables))
    assert "cold starts measured: 2, median 2.05 s" in notes
    assert "inprocess: n = 1, 3 rounds; none of its processes started inside a round" in notes


def test_fig5_published_parts_stand_beside_ours_in_the_published_setting_only(make_experiment: Experiment) -> None:
    tables = load(make_experiment(rounds=3, clients_per_round=100))
    theirs = FIGURES["fig5"].data(tables).query("backend == 'published'")
    assert set(theirs["part"]) == {"platform", "train", "aggregate"}
    assert set(theirs["kind"]) == {"first", "later"}
    assert "its container starts were constants" in words(drawn("fig5", tables))
    tables["runs"]["clients_per_round"] = 10
    assert "published" not in set(FIGURES["fig5"].data(tables)["backend"])
    assert CHADHA.citation not in words(drawn("fig5", tables))


def rgg_tables(row_makers: Makers) -> Tables:
    def run(name: str, seed: int = 0, first_k: int | None = None, memory: int | None = None, **changes: Any) -> Any:
        policy = {"name": "first_k", "k": first_k} if first_k else {"name": "wait_all", "k": None}
        config = json.dumps({"round_policy": policy, "platform": {"client": {"memory_mb": memory or 0}}})
        platform = "openwhisk" if memory else None
        backend = "openwhisk" if memory else "flower"
        known = {"backend": backend, "platform": platform, "config": config, "max_rounds": 20, "rounds": 20}
        accuracy = {"best_test_accuracy": 0.9}
        return replace(row_makers["runs"](f"{name}-{seed}", []), seed=seed, **known | accuracy | changes)

    six, twelve = {"clients_per_round": 6}, {"clients_per_round": 12}
    runs = [
        *(run("a", seed, 4, 256, learning_s=40.0 + 20 * seed, **six) for seed in (0, 1)),
        run("b", 0, 4, 128, learning_s=60.0, **six),
        run("c", 0, 4, learning_s=30.0, **six),
        run("d", 0, learning_s=100.0, **twelve),
    ]
    return {"runs": pd.DataFrame(runs)}


def test_rgg_tells_configurations_apart_by_clients_updates_and_memory(row_makers: Makers) -> None:
    shown = FIGURES["rgg"].data(rgg_tables(row_makers))
    ours = shown[shown["backend"] != "published"]
    keys = ["backend", "clients_per_round", "first_k", "function_memory_mb"]
    found = {tuple(row[key] for key in keys): row for row in ours.fillna({"function_memory_mb": 0}).to_dict("records")}
    assert set(found) == {
        ("openwhisk", 6, 4, 256),
        ("openwhisk", 6, 4, 128),
        ("flower", 6, 4, 0),
        ("flower", 12, 12, 0),
    }
    row = found[("openwhisk", 6, 4, 256)]
    assert (row["n"], row["learning_s"], row["mean_round_s"]) == (2, 50.0, 2.5)


def test_rgg_shows_a_system_without_functions_beside_every_k_and_says_that_it_waits(row_makers: Makers) -> None:
    tables = rgg_tables(row_makers)
    theirs = tables["runs"].query("backend == 'openwhisk'")
    config = json.dumps({"round_policy": {"name": "first_k", "k": 5}, "platform": {"client": {"memory_mb": 256}}})
    other = theirs.head(1).assign(run_id="e-0", config=config)
    tables["runs"] = pd.concat([tables["runs"], other], ignore_index=True)
    shown = FIGURES["rgg"].data(tables)
    flower = shown[(shown["backend"] == "flower") & (shown["clients_per_round"] == 6)]
    assert sorted(flower["first_k"]) == [4, 5]
    assert set(flower["learning_s"]) == {30.0}
    assert set(flower["n"]) == {1}
    written = [text.get_text() for axes in drawn("rgg", tables).axes for text in axes.texts]
    assert written.count("30.0 s, all 6") == 2


def test_rgg_published_times_stand_beside_equal_configurations_and_accuracies_nowhere(row_makers: Makers) -> None:
    shown = FIGURES["rgg"].data(rgg_tables(row_makers))
    theirs = shown[shown["backend"] == "published"]
    assert theirs["best_test_accuracy"].isna().all()
    known = grid().query("max_rounds == 20 and clients_per_round == 6 and first_k == 4")
    expected = known[(known["memory_mb"] != 512)]["mean_round_s"]
    assert sorted(theirs["mean_round_s"]) == sorted(expected)
    figure = drawn("rgg", rgg_tables(row_makers))
    assert RGG.citation in words(figure)
    assert RGG.differences in words(figure)
    assert f"classical server, {RGG.short}" in labels(figure)


def test_rgg_needs_two_configurations(make_experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="rgg: no two finished runs differ"):
        save(FIGURES["rgg"], load(make_experiment()), tmp_path)


def test_kpis_say_that_n_is_too_small_until_it_is_not(make_experiment: Experiment) -> None:
    tables = load(make_experiment(seeds=range(5)))
    assert "n too small for intervals and tests (below 6)" in words(drawn("kpis", tables))
    told = "; ".join(FIGURES["kpis"].data(tables)["p_values"])
    assert "inprocess: n too small" in told
    assert "p = " not in told


def test_kpis_have_intervals_and_paired_tests_from_six_seeds_on(make_experiment: Experiment) -> None:
    tables = load(make_experiment(seeds=range(6)))
    shown = FIGURES["kpis"].data(tables).set_index(["kpi", "backend"])
    row = shown.loc[("warm_round_s", "openwhisk")]
    assert row["n"] == 6
    assert row["interval_low"] <= row["median"] <= row["interval_high"]
    assert row["p_values"] == "inprocess: p = 0.031; flower: p = 0.031"
    notes = words(drawn("kpis", tables))
    assert "too small" not in notes
    assert "flower over inprocess: 1.30×, p = 0.031 (n = 6 pairs)" in notes


def test_kpis_hold_every_figure_of_every_system_that_was_measured(make_experiment: Experiment) -> None:
    tables = load(make_experiment(target_accuracy=0.99))
    shown = FIGURES["kpis"].data(tables)
    assert set(shown.groupby("kpi").size()) == {3}
    bounds = shown[shown["is_lower_bound"]]
    assert "rounds_to_target" in set(bounds["kpi"])
    figure = drawn("kpis", tables)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert len(titles) == shown["kpi"].nunique()
    assert "> 3" in [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_folder_without_runs_has_none_of_them(tmp_path: Path) -> None:
    collect(tmp_path)
    for name in ("fig3", "fig4", "fig5", "rgg", "kpis"):
        assert FIGURES[name].data(load(tmp_path)).empty
