"""Every figure shows what its table says, names its n, its source and what was emulated."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from metrics.analysis.kpis import per_run
from metrics.collect.phases import GROUPS, PHASES
from metrics.collect.row_types import TABLES
from metrics.collect.schema import schema
from metrics.collect.tables import collect, load
from metrics.plots import FIGURES, FORMATS, NoDataError, faults, save
from metrics.plots.cpu_memory import usage_by_role
from metrics.plots.parts import style

pytestmark = pytest.mark.slow

Makers = dict[str, Callable[..., Any]]
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def invented(experiment_writer: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What every test begins with; nobody changes it."""
    folder = tmp_path_factory.mktemp("plots") / "invented"
    return load(experiment_writer(folder, seeds=(0, 1), rounds=4, target_accuracy=0.9))


@pytest.fixture
def tables(invented: Tables) -> Tables:
    """A copy, to be changed."""
    return copied(invented)


def copied(tables: Tables) -> Tables:
    return {name: frame.copy() for name, frame in tables.items()}


def in_two_cells(tables: Tables, **changes: Any) -> Tables:
    """The same runs once more, with another choice."""
    more = {key: frame.assign(run_id=frame["run_id"] + "-more") for key, frame in tables.items()}
    more["runs"] = more["runs"].assign(**changes)
    return {key: pd.concat([frame, more[key]], ignore_index=True) for key, frame in tables.items()}


@pytest.fixture
def suited(name: str, tables: Tables) -> Tables:
    """Tables that the figure ``name`` applies to."""
    return suit(name, tables)


def suit(name: str, tables: Tables) -> Tables:
    if name in ("fig3", "rgg"):
        return in_two_cells(tables, clients_per_round=20)
    if name == "fig4":
        tables["runs"]["clients_per_round"] = 100
    if name == "platforms":
        calls = tables["invocations"]
        far = calls["run_id"].str.startswith("openwhisk") & calls["client_id"].ge(5)
        calls["fabric_group"] = calls["fabric_group"].astype("object")
        calls.loc[far, ["platform", "fabric_group"]] = "google", "cloud"
    if name == "poisoning":
        poison = {"share": 0.3, "attack": "sign_flip", "scale": 5.0}
        text = json.dumps({"poison": poison, "strategy": {"name": "krum", "f": 1, "m": 1}})
        return in_two_cells(tables, config=text, poison=json.dumps(poison))
    if name == "strategies":
        yogi = {"name": "fedyogi", "eta": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 0.001}
        return in_two_cells(tables, config=json.dumps({"strategy": yogi}), rounds_to_target=3)
    if name == "topology":
        return in_two_cells(tables, config='{"topology": {"name": "fedkeeper"}}')
    if name == "faults":
        calls = tables["invocations"]
        functions = calls["run_id"].str.startswith("openwhisk")
        calls.loc[functions & calls["client_id"].eq(3), ["status", "error_kind"]] = "failed", "throttled"
        calls.loc[functions & calls["client_id"].eq(4), "error_kind"] = "no answer"
    return tables


def test_a_strategy_is_shown_with_the_rounds_and_seconds_up_to_its_target(tables: Tables) -> None:
    tables["runs"]["rounds_to_target"] = None  # fedavg did not reach it
    both = suit("strategies", tables)
    shown = FIGURES["strategies"].data(both)
    runs, rounds = both["runs"], both["rounds"]
    assert list(dict.fromkeys(shown["strategy"])) == [
        "fedavg",
        "fedyogi(eta=0.01, beta_1=0.9, beta_2=0.99, tau=0.001)",
    ]
    assert shown.groupby("strategy")["is_lower_bound"].unique().map(list).tolist() == [[True], [False]]
    for row in shown.to_dict("records"):
        alike = runs["backend"].eq(row["backend"]) & runs["run_id"].str.endswith("-more").eq(
            row["strategy"] != "fedavg"
        )
        until = 4 if row["strategy"] == "fedavg" else 3
        mine = rounds[rounds["run_id"].isin(runs.loc[alike, "run_id"]) & (rounds["server_round"] <= until)]
        taken = mine.groupby("run_id")["round_s"].agg({"rounds": "size", "s": "sum"}[row["measure"]])
        assert (row["n"], row["value"]) == (2, pytest.approx(taken.median()))
    poisoned = both | {"runs": runs.assign(config='{"poison": {"share": 0.1, "attack": "sign_flip", "scale": 5}}')}
    assert FIGURES["strategies"].data(poisoned).empty


def drawn(name: str, tables: Tables) -> Figure:
    with mpl.rc_context(style.STYLE):
        figure = FIGURES[name].draw(FIGURES[name].data(tables), tables)
        figure.draw_without_rendering()
    return figure


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


@pytest.fixture(scope="module")
def saved(name: str, invented: Tables, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The figure ``name`` in every format."""
    return save(FIGURES[name], suit(name, copied(invented)), tmp_path_factory.mktemp(name) / "figures", FORMATS)


@pytest.mark.parametrize("name", FIGURES, scope="module")
def test_a_figure_is_saved_as_picture_document_and_table(saved: list[Path]) -> None:
    png, pdf, svg, csv = saved
    picture = imread(png)
    assert 800 <= picture.shape[1] <= 900  # what a README shows without scaling
    assert np.unique(picture.reshape(-1, picture.shape[2]), axis=0).shape[0] > 50
    assert pdf.read_bytes().startswith(b"%PDF")
    assert svg.read_bytes().rstrip().endswith(b"</svg>")
    assert "n" in pd.read_csv(csv).columns


@pytest.mark.parametrize("name", FIGURES, scope="module")
def test_equal_tables_give_equal_files(name: str, saved: list[Path], suited: Tables, tmp_path: Path) -> None:
    again = save(FIGURES[name], suited, tmp_path, FORMATS)
    assert [path.suffix for path in saved] == [".png", ".pdf", ".svg", ".csv"]
    assert [path.read_bytes() for path in saved] == [path.read_bytes() for path in again]


@pytest.mark.parametrize("name", FIGURES)
def test_notes_name_the_emulation_the_source_and_the_machine(name: str, suited: Tables) -> None:
    notes = words(drawn(name, suited))
    assert "OpenWhisk: embedded server (emulated), one machine." in notes
    assert re.search(r"experiment invented, (6|12) runs, flower-0 … openwhisk-1(-more)?, commit 0123456", notes)
    assert "An invented CPU, 2 cores, 8.00 GiB" in notes


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_called_emulated_that_was_not(name: str, suited: Tables) -> None:
    suited["runs"]["emulated"] = False
    assert "emulated" not in words(drawn(name, suited))


@pytest.mark.parametrize("name", FIGURES)
def test_n_is_on_the_figure(name: str, suited: Tables) -> None:
    figure = drawn(name, suited)
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    labels = [*(text for legend in legends for text in legend.get_texts())]
    labels += [text for axes in figure.axes for text in axes.get_yticklabels()]
    assert "n = 2" in words(figure) + "".join(text.get_text() for text in labels)


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_leaves_the_figure_or_lies_on_the_notes(name: str, suited: Tables) -> None:
    suited["runs"]["cpu_model"] = "AN INVENTED CPU WITH A WIDE NAME @ 2.40GHz " * 3
    suited["runs"]["partition"] = "shards, with quite a long name and a parameter (0.123456)"
    figure = drawn(name, suited)
    width, height = figure.canvas.get_width_height()
    boxes = [text.get_window_extent() for text in figure.texts]
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= width
        assert 0 <= box.y0 <= box.y1 <= height
    notes = max(boxes, key=lambda box: -box.y1)
    for axes in figure.axes:
        assert axes.get_tightbbox().y0 >= notes.y1


@pytest.mark.parametrize("name", FIGURES)
def test_no_data_is_said_not_drawn(name: str, tmp_path: Path) -> None:
    collect(tmp_path)
    with pytest.raises(NoDataError, match=f"^{name}: no "):
        save(FIGURES[name], load(tmp_path), tmp_path)
    assert not (tmp_path / f"{name}.png").exists()


@pytest.mark.parametrize("name", ["accuracy", "time_per_round", "cpu_memory", "cold_starts", "fig5"])
def test_cells_get_panels_of_their_own(name: str, tables: Tables) -> None:
    both = in_two_cells(tables, clients_per_round=20)
    titles = " ".join(axes.get_title(loc="left") for axes in drawn(name, both).axes)
    assert "10 a round" in titles
    assert "20 a round" in titles


def test_accuracy_is_the_median_over_seeds_and_lines_on_lines_stay_visible(tables: Tables) -> None:
    shown = FIGURES["accuracy"].data(tables)
    expected = tables["rounds"][tables["rounds"]["run_id"].str.startswith("flower")]
    for row in shown[shown["backend"] == "flower"].itertuples():
        of_round = expected.loc[expected["server_round"] == row.server_round, "test_accuracy"]
        assert row.test_accuracy == pytest.approx(of_round.median())
        assert (row.n, row.lowest, row.highest) == (2, of_round.min(), of_round.max())
    figure = drawn("accuracy", tables)
    lines = [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]
    assert len(lines) == 3
    widths = [line.get_linewidth() for line in sorted(lines, key=lambda line: line.get_zorder())]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3
    assert "Lines coincide: seed 0: identical weights on inprocess, flower" in words(figure)
    assert "target 0.9" in [text.get_text() for text in figure.axes[0].texts]


def test_accuracy_says_when_weights_differ(tables: Tables) -> None:
    rounds = tables["rounds"]
    rounds.loc[(rounds["run_id"] == "flower-1") & (rounds["server_round"] >= 3), "weights_sha256"] = "f" * 64
    notes = words(drawn("accuracy", tables))
    assert "seed 1: weights DIFFER from round 3 on" in notes
    assert "Lines coincide: seed 0" in notes


def test_rounds_that_only_some_seeds_reached_are_not_drawn_as_their_median(tables: Tables) -> None:
    rounds = tables["rounds"]
    tables["rounds"] = rounds[~((rounds["run_id"] == "flower-1") & (rounds["server_round"] > 2))]
    (line,) = [line for line in drawn("accuracy", tables).axes[0].lines if "flower" in line.get_label()]
    assert list(line.get_xdata()) == [1, 2]


def test_parts_of_a_round_add_up_to_the_labelled_total(tables: Tables) -> None:
    shown = FIGURES["time_per_round"].data(tables)
    parts = shown[[f"{phase}_s" for phase in (*PHASES, "unattributed")]].sum(axis="columns")
    assert parts.to_numpy() == pytest.approx(shown["round_s"].to_numpy())
    later = shown[shown["kind"] == "later"].set_index("backend")["round_s"]
    runs = per_run(tables)
    assert later["openwhisk"] == pytest.approx(runs.loc[runs["backend"] == "openwhisk", "warm_round_s"].median())
    first = shown[shown["kind"] == "first"].set_index("backend")
    assert first.loc["flower", "cold_start_s"] == pytest.approx(6.0)
    assert (shown.loc[shown["kind"] == "later", "cold_start_s"] == 0).all()


def test_bars_are_as_long_as_their_total_and_say_it(tables: Tables) -> None:
    shown = FIGURES["time_per_round"].data(tables)
    panel = drawn("time_per_round", tables).axes[0]
    total = shown[(shown["kind"] == "later") & (shown["backend"] == "flower")]["round_s"].item()
    ends = [bar.get_x() + bar.get_width() for bar in panel.patches if round(bar.get_y() + bar.get_height() / 2) == 1]
    assert max(ends) == pytest.approx(total)
    assert len(ends) == len(GROUPS)
    assert f" {total:.2f} s (1.30×)" in [text.get_text() for text in panel.texts]


def test_first_rounds_are_not_set_against_each_other(tables: Tables) -> None:
    """They hold different parts of a start: which, depends on what a system does in its set-up."""
    later, first = drawn("time_per_round", tables).axes
    assert any("×" in text.get_text() for text in later.texts)
    assert not any("×" in text.get_text() for text in first.texts)


@pytest.mark.parametrize("name", ["time_per_round", "cpu_memory"])
def test_totals_behind_the_longest_bar_fit_into_the_panel(name: str, tables: Tables) -> None:
    for panel in drawn(name, tables).axes:
        assert len(panel.texts) == 3
        assert max(text.get_window_extent().x1 for text in panel.texts) <= panel.get_window_extent().x1 + 1


def test_unfinished_runs_have_no_part_in_times(tables: Tables) -> None:
    tables["runs"].loc[tables["runs"]["run_id"] == "flower-1", "status"] = "failed"
    shown = FIGURES["time_per_round"].data(tables)
    assert set(shown.loc[shown["backend"] == "flower", "n"]) == {1}


def test_roles_add_up_to_the_run_s_cpu_seconds(tables: Tables) -> None:
    shown = FIGURES["cpu_memory"].data(tables)
    assert shown.groupby("backend")["cpu_s"].sum().to_numpy() == pytest.approx(50.0)
    rest = shown[shown["role"] == "not sampled"].set_index("backend")
    assert rest.loc["inprocess", "cpu_s"] == pytest.approx(50.0 - 9 * 2.0)  # nine seconds at two cores were seen
    tables["runs"]["cpu_s"] = np.nan
    assert "not sampled" not in set(FIGURES["cpu_memory"].data(tables)["role"])


def test_used_cpu_is_summed_over_processes_that_end(row_makers: Makers) -> None:
    samples = pd.DataFrame(row_makers["samples"]("r", {"client": 1.0}))
    samples.loc[samples["sampled_at"] >= 1005.0, "cpu_s"] -= 4.0  # a worker that had used 4 s is gone
    (found,) = usage_by_role(samples).to_dict("records")
    assert found["cpu_s"] == pytest.approx(8.0)  # the second in which it ended is lost, the others are not


def test_memory_is_of_the_moment_at_which_the_whole_run_used_the_most(row_makers: Makers) -> None:
    moments = [(1.0, "client", 500), (1.0, "ray", 100), (2.0, "client", 400), (2.0, "ray", 300), (3.0, "ray", 350)]
    samples = pd.DataFrame(
        [{"sampled_at": at, "role": role, "cpu_s": 0.0, "rss_bytes": rss} for at, role, rss in moments]
    )
    found = usage_by_role(samples).set_index("role")["rss_bytes"]
    assert found.to_dict() == {"client": 400, "ray": 300}


def test_cold_starts_are_counted_by_round_and_the_unknown_are_not_called_warm(tables: Tables) -> None:
    calls = tables["invocations"]
    died = (calls["run_id"] == "openwhisk-0") & (calls["server_round"] == 2) & (calls["client_id"] < 4)
    calls["is_cold"] = calls["is_cold"].astype(object)
    calls.loc[died, "is_cold"] = None
    shown = FIGURES["cold_starts"].data(tables).set_index(["backend", "server_round"])
    first, second = shown.loc[("openwhisk", 1)], shown.loc[("openwhisk", 2)]
    assert (first["attempts"], first["cold"], first["cold_share"]) == (20, 4, 0.2)
    assert (first["cold_s_lowest"], first["cold_s_highest"]) == (2.0, 2.1)
    assert (second["unknown"], second["cold"], second["cold_share"]) == (4, 0, 0.0)
    assert "4 unknown" in words(drawn("cold_starts", tables))


def test_each_backend_has_one_colour_that_stands_apart() -> None:
    colours = [style.backend_colour(backend) for backend in ("inprocess", "flower", "openwhisk", "another")]
    assert len(set(colours)) == 4
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(to_rgb, colours)]
    assert min(abs(a - b) for i, a in enumerate(lightness) for b in lightness[i + 1 :]) > 0.05  # also in grey
    assert set(style.PHASES) == set(GROUPS)


def test_tables_of_this_schema_are_enough(tables: Tables) -> None:
    for name, row in TABLES.items():
        assert list(tables[name].columns) == schema(row).names


def test_every_attempt_under_faults_is_shown_with_its_outcome_from_when_it_was_sent(tables: Tables) -> None:
    calls = tables["invocations"]
    first = calls["run_id"].eq("openwhisk-0") & calls["server_round"].eq(2)
    calls.loc[first & calls["client_id"].eq(1), ["status", "error_kind"]] = "failed", "application error"
    calls.loc[first & calls["client_id"].eq(2), "status"] = "discarded"
    calls.loc[first & calls["client_id"].eq(3), "error_kind"] = "answered later"
    shown = FIGURES["faults"].data(tables)
    assert set(shown["run_id"]) == {"openwhisk-0"}  # the others had no trouble
    assert len(shown) == 40
    later = shown[shown["server_round"] == 2].set_index("client_id")
    expected = {1: "function failed", 2: "discarded", 3: "success, got over", 4: "success"}
    assert later.loc[list(expected), "outcome"].to_dict() == expected
    assert later["start_s"].tolist() == [10.0] * 10  # a round begins every ten seconds
    assert np.allclose(later["end_s"] - later["start_s"], 0.6)
    notes = " ".join(words(drawn("faults", tables)).split())
    assert "40 attempts: 37 success, 1 success, got over, 1 function failed, 1 discarded" in notes
    assert "(application error 1, answered later 1)" in notes


def test_attempts_that_all_succeed_are_no_figure(tables: Tables) -> None:
    assert FIGURES["faults"].data(tables).empty


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("throttled", "refused by the platform"),
        ("HTTP 503", "lost"),
        ("no answer", "lost"),
        ("timed out", "function failed"),
    ],
)
def test_a_failure_is_sorted_by_its_kind(kind: str, expected: str) -> None:
    assert faults.outcome("failed", kind) == expected


@pytest.mark.parametrize("wanted", ["module://not.installed", "module://matplotlib_inline.backend_inline", "nonsense"])
def test_a_backend_for_screens_that_is_not_installed_stops_no_figure(wanted):
    command = [sys.executable, "-c", "import metrics.plots, os; print(os.environ['MPLBACKEND'])"]
    environment = os.environ | {"MPLBACKEND": wanted}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, wanted), done.stderr
