"""What an experiment found, in words and tables, for the terminal and for the report alike."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from machine.foreign_texts import plain
from metrics.analysis.checks.consistency import consistency_lines
from metrics.analysis.checks.weight_agreement import agreement_lines, agreements
from metrics.analysis.comparisons.paired_tests import differences
from metrics.analysis.kpis import per_run, per_system, ran_elsewhere
from metrics.analysis.labels import FIRST_K, common_label, label_runs
from metrics.analysis.statistics import FEWEST
from metrics.collect.tables import Tables
from metrics.report.answer import Answer, answer
from metrics.report.cost_tables import break_even_lines, notes_on_costs, sources_of_costs
from metrics.report.difference_tables import paired_tests
from metrics.report.headline import Headline, headline
from metrics.report.system_tables import one_row_each, side_by_side
from metrics.report.table import Table

_MANY = 2  # cells, above which each system's row must do


@dataclass(frozen=True)
class Findings:
    """What is reported at the end.

    Parameters
    ----------
    title
        Name of the experiment.
    learnt
        What all runs have in common.
    compared
        Tables of systems, each with the label of its cell.
    tested
        Differences of systems that could be tested; ``None`` where there are too few seeds.
    agreements
        Lines on whether the systems learnt the same and whether the tables can be believed, each with its truth
        (``None``: nothing to compare, or a figure that is neither good nor bad).
    unfinished
        A line for each run that did not end well.
    notes
        The rules by which the tables are to be read, those that matter for these runs.
    sources
        Where the prices are from, and what is not in the costs: for the report, too long for a terminal.
    answer
        Who won.
    headline
        The few figures that matter most, a row per system.
    """

    title: str
    learnt: str
    compared: tuple[tuple[str, Table], ...]
    tested: Table | None
    agreements: tuple[tuple[str, bool | None], ...]
    unfinished: tuple[str, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    answer: Answer
    headline: Headline

    @property
    def has_intervals(self) -> bool:
        """Whether a value of the headline has an interval."""
        return any(cell.interval for row in self.headline.rows for cell in row)


def find(frames: Tables) -> Findings:
    """Return what the tables of an experiment show; they contain at least one run."""
    runs = per_run(frames)
    tests = differences(runs)
    tested, rules = paired_tests(tests)
    systems = per_system(runs)
    return Findings(
        title=" and ".join(sorted(set(runs["experiment"]))),
        learnt=common_label(label_runs(frames["runs"])),
        compared=tuple(_compare(systems)),
        tested=tested,
        agreements=(*agreement_lines(agreements(frames)), *consistency_lines(frames)),
        unfinished=tuple(_unfinished(runs)),
        notes=(*_notes(runs), *rules, *break_even_lines(frames), *notes_on_costs(frames)),
        sources=tuple(sources_of_costs(frames)),
        answer=answer(runs, tests),
        headline=headline(systems),
    )


def _compare(summary: pd.DataFrame) -> list[tuple[str, Table]]:
    cells = list(summary["cell"].unique())
    if len(cells) > _MANY:
        return [("", one_row_each(summary))]
    return [(cell, side_by_side(summary[summary["cell"] == cell])) for cell in cells]


def _unfinished(runs: pd.DataFrame) -> list[str]:
    """Say of each run that did not end well how it ended, and the first line of its error."""
    lines = []
    for row in runs[runs["status"] != "success"].itertuples():
        error = plain(row.error).strip() if isinstance(row.error, str) else ""  # the tables may be somebody else's
        reason = f": {error.splitlines()[0]}" if error else ""
        lines.append(
            f"{row.system} seed {row.seed} {row.status} after {row.rounds} of {row.max_rounds} rounds{reason}"
            f" (run {row.run_id})"
        )
    return list(dict.fromkeys(lines))  # a run may stand in several cells


def _notes(runs: pd.DataFrame) -> list[str]:
    finished = runs[runs["status"] == "success"]
    most = finished.groupby(["cell", "system"])["run_id"].size().max() if len(finished) else 0
    interval = (
        "in brackets, the exact interval between order statistics that covers the median with at least 95 %"
        if most >= FEWEST
        else f"below n = {FEWEST} no 95 % interval of a median exists, and none is given"
    )
    repeats = ", the mean of its repeats" if runs["repeat"].any() else ""
    lines = [f"n: finished runs, one per seed{repeats}. Values are medians over them; {interval}."]
    if finished["platform"].notna().any():
        lines.append("First round: includes the start of functions; pools and nodes start in the set-up.")
    if finished["warm_rounds"].gt(0).any():
        lines.append("Later rounds: all rounds of a run except the first; phases are shares of their total time.")
    if finished["overhead"].notna().any():
        lines.append("Over inprocess: later rounds, divided by the bare loop's of the same seed and number of workers.")
    if runs["first_k"].notna().any():
        lines.append(FIRST_K)
    if ran_elsewhere(finished).any():
        lines.append(
            "Whole run's CPU and peak memory: not measured where functions were on other machines; the CPU of a round "
            "is that of its work, by the same probe everywhere."
        )
    if finished["is_censored"].any():
        lines.append("> in rounds to target: the target was not reached within so many rounds.")
    if runs["emulated"].any():
        lines.append("Emulated: functions ran on the embedded server, which imitates the platform on one machine.")
    return lines
