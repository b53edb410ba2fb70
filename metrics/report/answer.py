"""The answer of an experiment in a sentence: who won, by how much, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from metrics.analysis.comparisons.paired_tests import COMPARED, is_noise, write_p
from metrics.analysis.labels import BASELINE
from metrics.analysis.statistics import FEWEST, Median, write_median
from metrics.collect.tables import records
from metrics.collect.units import write

_KPI = {kpi.column: kpi for kpi in COMPARED}
_JUDGED = {"warm_round_s": "later rounds", "first_round_s": "first rounds"}  # the first of them that was measured
_COST = "usd_per_round"
_SEEDS = f"seeds=[{','.join(map(str, range(FEWEST)))}]"


@dataclass(frozen=True)
class Answer:
    """What an experiment says to its question.

    Parameters
    ----------
    verdict
        One sentence, with its interval if there is one.
    pairs
        Pairs of runs of one seed that it rests on, in the cell that has the fewest; 0 if nothing was compared.
    cost
        Another sentence, where costs are known.
    """

    verdict: str
    pairs: int = 0
    cost: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.verdict} {self.cost}".strip()


def answer(runs: pd.DataFrame, tests: pd.DataFrame) -> Answer:
    """Compare, in each cell, the fastest system with the next one, of another backend if there is one.

    The bare loop is a lower bound: it counts only where it is one of two systems.

    Parameters
    ----------
    runs
        Rows of :func:`metrics.analysis.kpis.per_run`.
    tests
        Their :func:`~metrics.analysis.comparisons.paired_tests.differences`.
    """
    finished = runs[runs["status"] == "success"]
    if finished.empty:
        return Answer("No run has finished: there is nothing to compare.")
    found = _contests(finished, tests)
    if not found:
        systems = list(dict.fromkeys(finished["system"]))
        if len(systems) > 1:
            return Answer("No two systems ran with the same seeds, workers and threads: none can be compared in pairs.")
        return Answer(f"Only {systems[0]} finished: there is nothing to compare it with.")
    pairs = min(contest["n"] for contest in found)
    if len(found) > 1:
        return Answer(_of_cells(found), pairs)
    (only,) = found
    return Answer(_of_pair(only, finished), pairs, _of_cost(only, tests))


def _contests(finished: pd.DataFrame, tests: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the comparison of the two fastest systems of each cell that has two."""
    kpi = next((name for name in _JUDGED if finished[name].notna().any()), "")
    judged = records(tests[tests["kpi"] == kpi])
    found = []
    for cell, of_cell in finished.groupby("cell", sort=False):
        medians = of_cell.groupby("system", sort=False)[kpi].median().dropna().sort_values()
        baselines = set(of_cell.loc[of_cell["backend"] == BASELINE, "system"])
        rivals = [name for name in medians.index if name not in baselines]
        rivals = rivals if len(rivals) > 1 else list(medians.index)
        backend = of_cell.drop_duplicates("system").set_index("system")["backend"]
        others = sorted(rivals[1:], key=lambda name: backend[name] == backend[rivals[0]])  # another backend, if any
        if others:
            two = {rivals[0], others[0]}
            found += [test for test in judged if test["cell"] == cell and {test["left"], test["right"]} == two]
    return found


def _of_pair(test: dict[str, Any], finished: pd.DataFrame) -> str:
    ratio: Median = test["ratio"]
    left, right = str(test["left"]), str(test["right"])
    rounds, factor = _JUDGED[test["kpi"]], write_median(ratio, "ratio")
    beat = f"{right} beat {left}: its" if ratio.value < 1 else f"{left} beat {right}, whose"
    if ratio.low is None or ratio.high is None:
        medians = finished.groupby("system")[test["kpi"]].median()
        times = f"{write(medians[right], 's')} against {write(medians[left], 's')}"
        few = "one pair of runs" if test["n"] == 1 else f"{test['n']} pairs of runs"
        return (
            f"{beat} {rounds} take {factor} the time ({times}), but n = {test['n']}: {few} may differ by noise alone."
        )
    if is_noise(test):
        return (
            f"{left} and {right} are level: {rounds} of {right} take {factor} the time, and repeats of one system "
            f"differ by up to {write(test['floor'], 'ratio')}."
        )
    sure = f"n = {test['n']} pairs by seed, {write_p(test['n'], test['p_value'])}"
    if ratio.low <= 1 <= ratio.high:
        return f"{left} and {right} are level: {rounds} of {right} take {factor} the time ({sure}), no more than noise."
    return f"{beat} {rounds} take {factor} the time ({sure}), more than noise."


def _of_cost(test: dict[str, Any], tests: pd.DataFrame) -> str:
    costs = tests[tests["kpi"] == _COST]
    same = costs[(costs[["cell", "left", "right"]] == [test["cell"], test["left"], test["right"]]).all(axis=1)]
    if same.empty:
        return ""
    ratio = write_median(same["ratio"].iloc[0], "ratio")
    return f"At list prices a round costs {ratio} as much on {test['right']} as on {test['left']}."


def _of_cells(found: Sequence[dict[str, Any]]) -> str:
    """Say how often who was faster, and how far the ratios reach."""
    wins: dict[str, int] = {}
    decided = 0
    for test in found:
        ratio: Median = test["ratio"]
        winner = str(test["right"] if ratio.value < 1 else test["left"])
        wins[winner] = wins.get(winner, 0) + 1
        decided += ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high
    by_wins = sorted(wins.items(), key=lambda win: -win[1])
    told = ", ".join(f"{system} in {count}" for system, count in by_wins)
    factors = [max(test["ratio"].value, 1 / test["ratio"].value) for test in found]
    by = f"by {write(min(factors), 'ratio')} to {write(max(factors), 'ratio')}"
    noise = f"n = {min(test['n'] for test in found)} or more pairs by seed; in {decided} it is more than noise"
    return f"Faster later rounds, of {len(found)} cells: {told}; {by} ({noise})."


def next_step(runs: pd.DataFrame, found: Answer, out: Path, command: str | None) -> tuple[str, str]:
    """Return the command that tells most next, and what it tells.

    Parameters
    ----------
    command
        The command line that made the results, if it is known.
    """
    again = command or "the same command"
    if (runs["status"] != "success").any():
        return again, "the same command goes on with what did not finish"
    if not found.pairs:
        others = "'backends=[inprocess,flower,openwhisk]'"
        return f"{_without(again, 'backends')} {others}", "compare it with other systems"
    if found.pairs < FEWEST:
        return f"{_without(again, 'seeds')} '{_SEEDS}'", f"{FEWEST} seeds tell it from noise; what is finished is kept"
    return f"python -m experiments.figures {out} formats=pdf", "figures for a paper"


def _without(command: str, key: str) -> str:
    """Leave the word of a key out of a command."""
    return " ".join(word for word in command.split() if not word.strip("'\"").startswith(f"{key}="))
