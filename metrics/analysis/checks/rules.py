"""The rules that the tables of an experiment must follow.

Each rule is a function of the tables that returns, for every row of one table, whether the row breaks the rule. A null
breaks no rule: what was not measured cannot be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from metrics.collect.phases import PHASES, UNATTRIBUTED
from metrics.collect.tables import Tables

CLOCK_S = 0.001  # a platform's record counts whole milliseconds, and two clocks are read one after the other
CPU_SHARE, CPU_S = 0.05, 0.1  # what may be missing of a run's CPU seconds in `samples`: a share, or so little anyway
GAP_SHARE, GAP_S = 0.05, 0.1  # between rounds (checkpoints, rows): a share of the run, or so little after each
_BIRTH_S = 0.01  # the kernel counts the birth of a process in hundredths of a second
_INIT_S = 0.1  # init_s ends with the answer to the platform, which a busy machine delays; the cold start ends before
_ROUNDING = 1e-6
_WORK = ("compile_s", "fetch_s", "train_s", "store_s", "aggregate_s", "evaluate_s")
_ROUND = ["run_id", "part", "server_round"]  # a run that is resumed may begin a round again, in another part
_ATTEMPT = [*_ROUND, "function", "client_id", "attempt"]


@dataclass(frozen=True)
class Rule:
    """A rule about one table.

    Parameters
    ----------
    text
        What must be true.
    table
        The table whose rows may break the rule.
    broken
        Returns, for each row of the table, whether it breaks the rule.
    """

    text: str
    table: str
    broken: Callable[[Tables], pd.Series[bool]]


def _phases_add_up(tables: Tables) -> pd.Series[bool]:
    rounds = tables["rounds"]
    total = rounds[[f"{part}_s" for part in (*PHASES, UNATTRIBUTED)]].sum(axis="columns")
    return (total - rounds["round_s"]).abs() > _ROUNDING


def _a_phase_is_negative(tables: Tables) -> pd.Series[bool]:
    return (tables["rounds"][[f"{part}_s" for part in (*PHASES, UNATTRIBUTED)]] < -CLOCK_S).any(axis="columns")


def _in_time(tables: Tables) -> pd.DataFrame:
    """Return the attempts that a round's counts are about: those that had ended when it was closed."""
    rows = tables["invocations"]
    return rows[rows["status"] != "discarded"]


def _counts_differ(tables: Tables) -> pd.Series[bool]:
    rows = _in_time(tables)
    averaged = (rows["function"] == "client") & (rows["status"] == "success")
    found = rows.assign(
        attempts=1,
        failures=rows["status"] == "failed",
        cold_starts=rows["is_cold"].eq(True),  # null is not cold
        updates=averaged,
        num_examples=rows["num_examples"].where(averaged),
    )
    counts = ["attempts", "failures", "cold_starts", "updates", "num_examples"]
    return (_difference(tables["rounds"], found, counts).abs() > 0).any(axis="columns")


def _cpu_differs(tables: Tables) -> pd.Series[bool]:
    return _difference(tables["rounds"], _in_time(tables), ["cpu_s"])["cpu_s"].abs() > _ROUNDING


def _difference(rounds: pd.DataFrame, invocations: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return, per round, each column less the sum of it over the round's invocations; null if none measured it."""
    sums = invocations[[*_ROUND, *columns]].groupby(_ROUND)[columns].sum(min_count=1)
    found = sums.reindex(pd.MultiIndex.from_frame(rounds[_ROUND])).set_axis(rounds.index)
    return rounds[columns].astype("float64") - found.astype("float64")


def _stragglers_differ(tables: Tables) -> pd.Series[bool]:
    """Return the rounds with more discarded attempts than stragglers; or with fewer, if no kill can have lost any."""
    rounds, runs = tables["rounds"], tables["runs"].set_index("run_id")
    late = tables["invocations"].assign(stragglers=tables["invocations"]["status"] == "discarded")
    missing = _difference(rounds, late, ["stragglers"])["stragglers"]
    is_whole = rounds["run_id"].map((runs["status"] == "success") & (runs["resumes"].fillna(0) == 0)).eq(True)
    return (missing < 0) | ((missing > 0) & is_whole)


def _answered_outside(tables: Tables) -> pd.Series[bool]:
    rows = tables["invocations"]
    rounds = tables["rounds"][[*_ROUND, "started_at", "round_s"]].drop_duplicates(_ROUND)
    merged = rows[_ROUND].merge(rounds, on=_ROUND, how="left").set_axis(rows.index)
    early = rows["submitted_at"] < merged["started_at"] - CLOCK_S
    late = rows["submitted_at"] + rows["client_s"] > merged["started_at"] + merged["round_s"] + CLOCK_S
    return (rows["status"] == "success") & (early | late)


def _longer(inner: str, outer: str, by: float = CLOCK_S) -> Callable[[Tables], pd.Series[bool]]:
    return lambda tables: tables["invocations"][inner] > tables["invocations"][outer] + by


def _parts_of_a_call_too_long(tables: Tables) -> pd.Series[bool]:
    rows = tables["invocations"]
    parts = rows[["queue_s", "cold_start_s", "function_s"]].fillna(0.0).sum(axis="columns")
    return rows["queue_s"].notna() & (parts > rows["client_s"] + _BIRTH_S + CLOCK_S)


def _phases_too_long(tables: Tables) -> pd.Series[bool]:
    rows = tables["invocations"]
    return rows[list(_WORK)].sum(axis="columns") > rows["function_s"] + CLOCK_S


def _repeated(table: str, key: list[str]) -> Callable[[Tables], pd.Series[bool]]:
    return lambda tables: tables[table].duplicated(key, keep="first")


def _rounds_missing(tables: Tables) -> pd.Series[bool]:
    """Return the runs whose rounds are not 1, 2, 3 and so on, as many as they say."""
    numbers = tables["rounds"].groupby("run_id")["server_round"].agg(["size", "min", "max"])
    found = numbers.reindex(tables["runs"]["run_id"]).set_axis(tables["runs"].index)
    wanted = tables["runs"]["rounds"]
    return (found["size"].fillna(0) != wanted) | (found["max"].fillna(0) != wanted) | (found["min"].fillna(1) != 1)


def _learning_differs(tables: Tables) -> pd.Series[bool]:
    runs = tables["runs"]
    total = tables["rounds"].groupby("run_id")["round_s"].sum().reindex(runs["run_id"]).fillna(0).set_axis(runs.index)
    return (total - runs["learning_s"]).abs() > _ROUNDING


def _parts_too_long(tables: Tables) -> pd.Series[bool]:
    runs = tables["runs"]
    return runs[["setup_s", "learning_s", "teardown_s"]].sum(axis="columns") > runs["wall_s"] + CLOCK_S


def _parts_too_short(tables: Tables) -> pd.Series[bool]:
    runs = tables["runs"]
    between = runs["wall_s"] - runs[["setup_s", "learning_s", "teardown_s"]].sum(axis="columns")
    return (runs["rounds"] > 0) & (between > (GAP_SHARE * runs["wall_s"]).clip(lower=GAP_S * runs["rounds"]))


def _negative(table: str) -> Callable[[Tables], pd.Series[bool]]:
    def broken(tables: Tables) -> pd.Series[bool]:
        rows = tables[table]
        durations = rows[[name for name in map(str, rows) if name.endswith("_s")]].astype("float64")
        return (durations < -CLOCK_S).any(axis="columns")

    return broken


def _cold_start_too_short(tables: Tables) -> pd.Series[bool]:
    rows = tables["invocations"]
    return rows["is_cold"].eq(True) & (rows["init_s"] > rows["cold_start_s"] + _INIT_S)


def _cpu_falls(tables: Tables) -> pd.Series[bool]:
    """Return the samples with fewer CPU seconds of a role than before; a run that is resumed counts anew."""
    samples, runs = tables["samples"], tables["runs"].set_index("run_id")
    ordered = samples.sort_values("sampled_at", kind="stable")
    step = ordered.groupby(["run_id", "source", "role"], dropna=False)["cpu_s"].diff().reindex(samples.index)
    return (step < -_BIRTH_S) & samples["run_id"].map(runs["resumes"].fillna(0) == 0).eq(True)


def _weights_differ(tables: Tables) -> pd.Series[bool]:
    runs = tables["runs"]
    last = tables["rounds"].sort_values("server_round").groupby("run_id")["weights_sha256"].last()
    found = last.reindex(runs["run_id"]).set_axis(runs.index)
    return runs["final_weights_sha256"].notna() & found.notna() & (runs["final_weights_sha256"] != found)


def _cpu_not_sampled(tables: Tables) -> pd.Series[bool]:
    runs = tables["runs"]
    missing = (runs["cpu_s"] - runs["sampled_cpu_s"]).abs()
    return (runs["status"] == "success") & (missing > (CPU_SHARE * runs["cpu_s"]).clip(lower=CPU_S))


RULES = (
    Rule("rounds are numbered 1, 2, 3 and so on", "runs", _rounds_missing),
    Rule("learning_s is the sum of the rounds", "runs", _learning_differs),
    Rule("set-up, rounds and teardown fit into wall_s", "runs", _parts_too_long),
    Rule(
        f"set-up, rounds and teardown make up wall_s, but for {GAP_SHARE:.0%} or {GAP_S:g} s after each round",
        "runs",
        _parts_too_short,
    ),
    Rule("no duration of a run is negative", "runs", _negative("runs")),
    Rule("the final weights are those of the last round", "runs", _weights_differ),
    Rule(f"the roles' CPU seconds add up to cpu_s within {CPU_SHARE:.0%}", "runs", _cpu_not_sampled),
    Rule("a round is written once", "rounds", _repeated("rounds", ["run_id", "server_round"])),
    Rule("phases and unattributed_s add up to round_s", "rounds", _phases_add_up),
    Rule("no phase is negative", "rounds", _a_phase_is_negative),
    Rule(
        "counts of attempts, failures, cold starts, updates and images are those in invocations",
        "rounds",
        _counts_differ,
    ),
    Rule("stragglers of a round have their rows, discarded, unless a kill lost some", "rounds", _stragglers_differ),
    Rule("cpu_s of a round is the sum over its invocations", "rounds", _cpu_differs),
    Rule("no duration of an attempt is negative", "invocations", _negative("invocations")),
    Rule("a cold start lasts at least its init_s", "invocations", _cold_start_too_short),
    Rule("the CPU seconds of a role never fall", "samples", _cpu_falls),
    Rule("an attempt is written once", "invocations", _repeated("invocations", _ATTEMPT)),
    Rule("function_s <= provider_s", "invocations", _longer("function_s", "provider_s")),
    Rule("provider_s <= client_s", "invocations", _longer("provider_s", "client_s")),
    Rule("function_s <= client_s", "invocations", _longer("function_s", "client_s", 2 * CLOCK_S)),
    Rule("queue_s, cold_start_s and function_s fit into client_s", "invocations", _parts_of_a_call_too_long),
    Rule("init_s <= provider_s", "invocations", _longer("init_s", "provider_s")),
    Rule("the phases inside the work fit into function_s", "invocations", _phases_too_long),
    Rule("a successful answer came within its round", "invocations", _answered_outside),
)
