"""Every rule against tables that follow it, and against tables changed so that one row breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.analysis.checks.consistency import Broken, check, cold_starts, consistency_lines
from metrics.analysis.checks.rules import RULES
from metrics.collect.tables import load

Frames = dict[str, pd.DataFrame]
STRAGGLERS = "stragglers of a round have their rows, discarded, unless a kill lost some"


@pytest.fixture
def frames(make_experiment: Callable[..., Path]) -> Frames:
    """Three runs of three rounds that follow every rule, with all that a rule looks at measured."""
    tables = load(make_experiment(rounds=3, sampled_cpu_s=49.0, sampler_cpu_s=0.06))
    runs, calls = tables["runs"], tables["invocations"]
    runs["wall_s"] = runs[["setup_s", "learning_s", "teardown_s"]].sum(axis="columns") + 0.05
    calls[["num_examples", "cpu_s", "train_s", "function_s", "client_s"]] = [600, 0.4, 0.4, 0.5, 0.6]
    calls.loc[calls["run_id"] == "openwhisk-0", "provider_s"] = 0.55
    calls.loc[calls["provider_s"].notna() & calls["is_cold"], "init_s"] = 0.04
    return tables


def first(
    table: str, column: str, change: Callable[[Any], Any], where: str = "openwhisk-0"
) -> Callable[[Frames], None]:
    """Change one value: in the first row of a run."""

    def doctor(tables: Frames) -> None:
        row = tables[table].index[tables[table]["run_id"] == where][0]
        tables[table].loc[row, column] = change(tables[table].loc[row, column])

    return doctor


def all_of(*doctors: Callable[[Frames], None]) -> Callable[[Frames], None]:
    def doctor(tables: Frames) -> None:
        for each in doctors:
            each(tables)

    return doctor


def twice(table: str) -> Callable[[Frames], None]:
    def doctor(tables: Frames) -> None:
        row = tables[table].iloc[[0]]
        tables[table] = pd.concat([row, tables[table]], ignore_index=True)

    return doctor


def lost(table: str) -> Callable[[Frames], None]:
    def doctor(tables: Frames) -> None:
        tables[table] = tables[table].drop(tables[table].index[0])

    return doctor


DOCTORED: list[tuple[Callable[[Frames], None], str]] = [
    (lost("rounds"), "rounds are numbered 1, 2, 3 and so on"),
    (first("rounds", "server_round", lambda number: number + 3), "rounds are numbered 1, 2, 3 and so on"),
    (first("runs", "rounds", lambda number: number - 1), "rounds are numbered 1, 2, 3 and so on"),
    (first("runs", "learning_s", lambda s: s + 0.01), "learning_s is the sum of the rounds"),
    (first("runs", "wall_s", lambda _: 9.0), "set-up, rounds and teardown fit into wall_s"),
    (first("runs", "final_weights_sha256", lambda _: "0" * 64), "the final weights are those of the last round"),
    (first("runs", "sampled_cpu_s", lambda _: 47.4), "the roles' CPU seconds add up to cpu_s within 5%"),
    (first("runs", "sampled_cpu_s", lambda _: 52.6), "the roles' CPU seconds add up to cpu_s within 5%"),
    (twice("rounds"), "a round is written once"),
    (first("rounds", "train_s", lambda s: s - 0.001), "phases and unattributed_s add up to round_s"),
    (first("rounds", "poll_s", lambda _: -0.01), "no phase is negative"),
    (first("rounds", "unattributed_s", lambda _: -0.01), "no phase is negative"),
    *[
        (
            first("rounds", column, lambda number: number + 1),
            "counts of attempts, failures, cold starts, updates and images are those in invocations",
        )
        for column in ("attempts", "failures", "cold_starts", "updates", "num_examples")
    ],
    (first("rounds", "stragglers", lambda number: number + 1), STRAGGLERS),
    (first("invocations", "status", lambda _: "discarded"), STRAGGLERS),
    (lost("invocations"), "counts of attempts, failures, cold starts, updates and images are those in invocations"),
    (first("rounds", "cpu_s", lambda s: s + 0.001), "cpu_s of a round is the sum over its invocations"),
    (twice("invocations"), "an attempt is written once"),
    (first("invocations", "provider_s", lambda _: 0.4985), "function_s <= provider_s"),
    (first("invocations", "provider_s", lambda _: 0.6015), "provider_s <= client_s"),
    (first("invocations", "client_s", lambda _: 0.4975, "inprocess-0"), "function_s <= client_s"),
    (
        first("invocations", "queue_s", lambda _: 0.2, "inprocess-0"),
        "queue_s, cold_start_s and function_s fit into client_s",
    ),
    (first("invocations", "init_s", lambda _: 0.5515), "init_s <= provider_s"),
    (first("invocations", "store_s", lambda _: 0.102), "the phases inside the work fit into function_s"),
    (
        first("runs", "wall_s", lambda s: s + 9.0),
        "set-up, rounds and teardown make up wall_s, but for 5% or 0.1 s after each round",
    ),
    (first("runs", "teardown_s", lambda _: -0.01), "no duration of a run is negative"),
    (first("invocations", "platform_wait_s", lambda _: -0.01), "no duration of an attempt is negative"),
    (
        all_of(first("invocations", "init_s", lambda _: 0.5), first("invocations", "cold_start_s", lambda _: 0.39)),
        "a cold start lasts at least its init_s",
    ),
    (first("samples", "cpu_s", lambda s: s + 100.0), "the CPU seconds of a role never fall"),
    (first("invocations", "submitted_at", lambda at: at - 0.002), "a successful answer came within its round"),
    (first("invocations", "submitted_at", lambda at: at + 100), "a successful answer came within its round"),
]


def test_tables_that_follow_every_rule_are_consistent(frames: Frames) -> None:
    assert check(frames) == []
    assert consistency_lines(frames) == [
        (f"tables consistent: {len(RULES)} checks passed (3 runs, 9 rounds, 90 invocations)", True),
        ("cold starts: the functions' flags and the platform's records agree (2 cold, of 30 activations)", True),
        ("CPU seconds: at most 2.0% of a run's are in no role of samples; sampling took at most 0.32% of a core", None),
    ]


@pytest.mark.parametrize(("doctor", "rule"), DOCTORED)
def test_a_doctored_row_is_found(frames: Frames, doctor: Callable[[Frames], None], rule: str) -> None:
    doctor(frames)
    broken = check(frames)
    assert rule in [fault.rule for fault in broken]
    assert (f"tables NOT consistent: {broken[0]}", False) in consistency_lines(frames)


def test_every_rule_can_be_broken() -> None:
    assert {rule for _, rule in DOCTORED} == {rule.text for rule in RULES}


def test_the_first_broken_row_is_named_and_all_are_counted(frames: Frames) -> None:
    calls = frames["invocations"]
    calls.loc[calls["run_id"] == "openwhisk-0", "provider_s"] = 0.3
    (fault,) = check(frames)
    first = "run_id=openwhisk-0 server_round=1 function=client client_id=0 attempt=1"
    assert fault == Broken("function_s <= provider_s", "invocations", 30, first)


def test_clocks_may_differ_by_the_millisecond_that_records_are_rounded_to(frames: Frames) -> None:
    first("invocations", "provider_s", lambda _: 0.4995)(frames)
    assert check(frames) == []


def test_what_was_not_measured_breaks_no_rule(frames: Frames) -> None:
    for table, columns in {
        "invocations": ["provider_s", "function_s", "client_s", "cpu_s", "num_examples", "init_s", "train_s"],
        "runs": ["cpu_s", "sampled_cpu_s", "sampler_cpu_s", "final_weights_sha256"],
    }.items():
        for column in columns:
            frames[table][column] = None
    assert check(frames) == []
    assert len(consistency_lines(frames)) == 1


def test_a_round_that_a_resumed_run_began_again_is_judged_by_its_last_part(frames: Frames) -> None:
    cut_off = frames["invocations"].iloc[:4].assign(submitted_at=10.0)
    frames["invocations"]["part"] = 1
    frames["rounds"]["part"] = 1
    frames["invocations"] = pd.concat([cut_off, frames["invocations"]], ignore_index=True)
    assert check(frames) == []


@pytest.fixture
def late(frames: Frames) -> Frames:
    """A straggler of the first round, answered long after it, with costs of its own."""
    straggler = frames["invocations"].iloc[[0]].assign(client_id=99, status="discarded", client_s=60.0, is_cold=True)
    frames["invocations"] = pd.concat([frames["invocations"], straggler], ignore_index=True)
    run_id, number = straggler.iloc[0][["run_id", "server_round"]]
    rounds = frames["rounds"]
    rounds.loc[(rounds["run_id"] == run_id) & (rounds["server_round"] == number), "stragglers"] = 1
    return frames


def test_a_late_answer_changes_no_count_of_its_round(late: Frames) -> None:
    assert check(late) == []


def test_a_straggler_without_a_row_is_missing_unless_a_kill_may_have_lost_it(late: Frames) -> None:
    late["invocations"] = late["invocations"].iloc[:-1]
    assert [fault.rule for fault in check(late)] == [STRAGGLERS]
    late["runs"]["resumes"] = 1
    assert check(late) == []


def test_rows_that_are_older_than_the_column_part_are_judged_too(frames: Frames) -> None:
    for table in ("rounds", "invocations"):
        frames[table]["part"] = None
    assert check(frames) == []
    lost("invocations")(frames)
    assert [fault.rule for fault in check(frames)] == [
        "counts of attempts, failures, cold starts, updates and images are those in invocations",
        "cpu_s of a round is the sum over its invocations",
    ]


def test_failed_attempts_are_no_updates_and_need_not_end_within_their_round(frames: Frames) -> None:
    failed = (
        frames["invocations"].iloc[[0]].assign(attempt=2, status="failed", submitted_at=0.0, is_cold=None, cpu_s=None)
    )
    frames["invocations"] = pd.concat([frames["invocations"], failed], ignore_index=True)
    first("rounds", "attempts", lambda number: number + 1, failed["run_id"].iloc[0])(frames)
    first("rounds", "failures", lambda number: number + 1, failed["run_id"].iloc[0])(frames)
    assert check(frames) == []


def test_flags_and_records_that_disagree_about_cold_starts_are_counted(frames: Frames) -> None:
    calls = frames["invocations"] = frames["invocations"].astype({"is_cold": object})
    activations = calls.index[calls["provider_s"].notna()]
    cold = calls.loc[activations, "init_s"].notna()
    calls.loc[activations[cold][0], "init_s"] = None  # cold by its own word, warm by the record
    calls.loc[activations[~cold][:3], "init_s"] = 0.04  # warm by its own word, cold by the record
    calls.loc[activations[~cold][3], "is_cold"] = None  # it never answered: there is nothing to compare
    found = cold_starts(calls)
    assert (found.activations, found.both, found.flag_only, found.record_only) == (29, 1, 1, 3)
    about = "4 of 29 activations (1 cold by the flag only, 3 by the record only)"
    said = f"cold starts: the functions' flags and the platform's records DISAGREE about {about}"
    assert (said, False) in consistency_lines(frames)
