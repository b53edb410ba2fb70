"""The one sentence that an experiment ends with: who won, by how much, and whether that is more than noise."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from metrics.analysis.comparisons.paired_tests import differences
from metrics.analysis.kpis import per_run
from metrics.collect.tables import load
from metrics.report.answer import Answer, answer, next_step
from metrics.report.report import finish

pytestmark = pytest.mark.slow

Experiment = Callable[..., Path]
COMMAND = "python -m experiments.run +exp=quickstart"


def answered(runs: pd.DataFrame) -> Answer:
    return answer(runs, differences(runs))


def runs_of(folder: Path) -> pd.DataFrame:
    return per_run(load(folder))


def test_one_pair_of_runs_is_told_to_be_no_more_than_that(make_experiment: Experiment) -> None:
    found = answered(runs_of(make_experiment(seeds=(0,))))
    assert found.pairs == 1
    assert found.text.startswith(
        "openwhisk (emulated) beat flower: its later rounds take 0.79× the time (3.45 s against 4.35 s), "
        "but n = 1: one pair of runs may differ by noise alone."
    )
    assert "At list prices a round costs" in found.text


def test_six_pairs_have_an_interval_and_a_verdict(make_experiment: Experiment) -> None:
    found = answered(runs_of(make_experiment(seeds=range(6))))
    assert found.pairs == 6
    assert "take 0.79× [0.79–0.80×] the time (n = 6 pairs by seed, p = 0.031), more than noise." in found.text


def test_what_six_pairs_cannot_tell_apart_has_no_winner(make_experiment: Experiment) -> None:
    runs = runs_of(make_experiment(seeds=range(6)))
    flower = runs["backend"] == "flower"
    scattered = [3.0, 4.0, 3.2, 3.8, 3.1, 3.9]
    runs.loc[flower, "warm_round_s"] = scattered
    text = answered(runs).text
    assert text.startswith("flower and openwhisk (emulated) are level: later rounds of openwhisk (emulated) take ")
    assert "no more than noise" in text
    assert " beat " not in text


def test_the_bare_loop_is_a_bound_and_counts_only_where_it_is_one_of_two(make_experiment: Experiment) -> None:
    runs = runs_of(make_experiment())
    two = runs[runs["backend"] != "flower"]
    assert answered(two).text.startswith("inprocess beat openwhisk (emulated), whose later rounds take 1.03× the time")
    alone = answered(runs[runs["backend"] == "flower"])
    assert (alone.text, alone.pairs) == ("Only flower finished: there is nothing to compare it with.", 0)
    assert answered(runs.assign(status="failed")).text == "No run has finished: there is nothing to compare."
    of_others = runs.assign(workers=range(len(runs)))
    assert answered(of_others).text.startswith("No two systems ran with the same seeds, workers and threads")


def test_of_one_round_the_first_rounds_are_compared(make_experiment: Experiment) -> None:
    assert "its first rounds take" in answered(runs_of(make_experiment(rounds=1))).text


def test_of_several_cells_it_is_told_who_won_how_many(make_experiment: Experiment) -> None:
    runs = runs_of(make_experiment())
    other = runs.assign(cell="E=1", warm_round_s=runs["warm_round_s"].where(runs["backend"] != "flower", 1.0))
    text = answered(pd.concat([runs.assign(cell="E=5"), other])).text
    assert text == (
        "Faster later rounds, of 2 cells: openwhisk (emulated) in 1, flower in 1; by 1.26× to 3.45× "
        "(n = 1 or more pairs by seed; in 0 it is more than noise)."
    )


@pytest.mark.parametrize(
    ("seeds", "changes", "command", "why"),
    [
        ((0,), {}, f"{COMMAND} rounds=5 'seeds=[0,1,2,3,4,5]'", "6 seeds tell it from noise"),
        (range(6), {}, "python -m experiments.figures results/x formats=pdf", "figures for a paper"),
        ((0,), {"status": "failed"}, f"{COMMAND} rounds=5 'seeds=[7]'", "goes on with what did not finish"),
    ],
)
def test_what_to_try_next_is_a_command_that_helps(
    make_experiment: Experiment, seeds: range, changes: dict[str, str], command: str, why: str
) -> None:
    runs = runs_of(make_experiment(seeds=seeds)).assign(**changes)
    shown = next_step(runs, answered(runs), Path("results/x"), f"{COMMAND} rounds=5 'seeds=[7]'")
    assert shown[0] == command
    assert why in shown[1]


def test_what_is_alone_is_to_be_compared(make_experiment: Experiment) -> None:
    runs = runs_of(make_experiment()).query("backend == 'flower'")
    command, why = next_step(runs, answered(runs), Path("results/x"), f"{COMMAND} 'backends=[flower]'")
    assert command == f"{COMMAND} 'backends=[inprocess,flower,openwhisk]'"
    assert why == "compare it with other systems"


def test_the_three_lines_stand_ahead_of_the_table_and_commands_are_not_broken(make_experiment: Experiment) -> None:
    folder, text = make_experiment(), io.StringIO()
    finish(folder, Console(width=60, file=text), COMMAND, figures=False)
    lines = text.getvalue().splitlines()
    start = {word: next(n for n, line in enumerate(lines) if line.startswith(word)) for word in ("answer", "next")}
    table = next(n for n, line in enumerate(lines) if "runs (n)" in line)
    assert start["answer"] < start["next"] < table
    assert f"        {COMMAND} 'seeds=[0,1,2,3,4,5]'" in lines
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert answered(runs_of(folder)).text in report


def test_only_notes_that_apply_are_printed_and_the_report_has_the_sources_of_prices(
    make_experiment: Experiment,
) -> None:
    folder, text = make_experiment(), io.StringIO()
    finish(folder, Console(width=200, file=text), COMMAND, figures=False)
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "an invented list" in report
    assert "an invented list" not in text.getvalue()
    for row in ("rounds to target", "  start"):  # no target, and nothing takes time for it
        assert row not in text.getvalue()
