"""Whether the systems learnt the same: the weights after every round, compared by their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metrics.analysis.labels import label_runs
from metrics.analysis.run_choices import waits_for_all
from metrics.collect.tables import Tables

SHOWN = 12  # digits of a hash that are printed
MOST_LINES = 3  # agreements that have a line each


@dataclass(frozen=True)
class Agreement:
    """What the runs of one cell and seed have in common.

    Parameters
    ----------
    rounds
        How many rounds all of them finished: so many were compared.
    weights_sha256
        Hash of the global weights after the last of these rounds, by system.
    first_difference
        The first round after which the weights differ; ``None`` if they never do.
    waits_for_all
        Whether rounds were closed when all clients had delivered. Where not, other updates are in the average each
        time, and there is nothing to agree with.
    """

    cell: str
    seed: int
    rounds: int
    weights_sha256: dict[str, str]
    first_difference: int | None
    waits_for_all: bool = True

    @property
    def identical(self) -> bool | None:
        """Whether all systems have the same weights; ``None`` if there are not two to compare."""
        if len(self.weights_sha256) < 2 or not self.rounds or not self.waits_for_all:
            return None
        return self.first_difference is None

    @property
    def is_alone(self) -> bool:
        """Whether only one system has the cell and seed."""
        return len(self.weights_sha256) == 1 and self.waits_for_all

    def __str__(self) -> str:
        """Say it in one line.

        Examples
        --------
        >>> print(Agreement("", 0, 2, {"inprocess": "ab" * 32, "flower": "ab" * 32}, None))
        seed 0: identical weights on inprocess and flower after each of 2 rounds (abababababab)
        """
        where = ", ".join(filter(None, [self.cell, f"seed {self.seed}"]))
        hashes = {system: digest[:SHOWN] for system, digest in self.weights_sha256.items()}
        if self.identical:
            *others, last = hashes
            on = f"{', '.join(others)} and {last}"
            return f"{where}: identical weights on {on} after each of {self.rounds} rounds ({hashes[last]})"
        found = ", ".join(f"{system} {digest}" for system, digest in hashes.items())
        if not self.waits_for_all:
            return f"{where}: {found or 'no round finished'}: rounds closed early average other updates each time"
        if self.identical is None:
            return f"{where}: {found or 'no round finished'}, nothing to compare it with"
        return f"{where}: weights DIFFER from round {self.first_difference} on; after round {self.rounds}: {found}"


def agreement_lines(found: Sequence[Agreement]) -> list[tuple[str, bool | None]]:
    """Return a line for each comparison and whether the weights agree; many of the same kind share one line."""
    alike = [agreement for agreement in found if agreement.identical]
    alone = [agreement for agreement in found if agreement.is_alone]
    lines: list[tuple[str, bool | None]] = []
    if len(alike) > MOST_LINES:
        rounds = sum(agreement.rounds for agreement in alike)
        line = f"identical weights on all systems in {len(alike)} comparisons (seeds × cells), {rounds} rounds in all"
        lines.append((line, True))
    if len(alone) > MOST_LINES:
        lines.append((f"the weights of {len(alone)} runs have no other system to be compared with", None))
    in_one_line = [each for group in (alike, alone) if len(group) > MOST_LINES for each in group]
    return [*lines, *((str(each), each.identical) for each in found if each not in in_one_line)]


def agreements(tables: Tables) -> list[Agreement]:
    """Compare the weights of all runs of each cell and seed, over the rounds that all of them finished.

    Functions that closed their rounds early stand by themselves; a system that only has such functions beside it, and
    nothing to agree with, is left out.
    """
    runs = label_runs(tables["runs"])
    keys = ["cell", "seed", "waits_for_all"]
    runs["waits_for_all"] = waits_for_all(runs)
    again = runs["repeat"].map(lambda repeat: f" repeat {repeat}" if repeat else "")
    runs["system"] = runs["system"] + again  # it must learn the same as its first run
    rounds = runs[["run_id", "system", *keys]].merge(tables["rounds"], on="run_id")
    of_each = dict(iter(rounds.groupby(keys, sort=False)))
    found = [
        _compare(str(cell), int(seed), bool(waits), of_each.get((cell, seed, waits), rounds.iloc[:0]))
        for cell, seed, waits in runs[keys].drop_duplicates().itertuples(index=False)
    ]
    early = {(each.cell, each.seed) for each in found if not each.waits_for_all}
    return [
        each
        for each in found
        if each.identical is not None or not each.waits_for_all or (each.cell, each.seed) not in early
    ]


def _compare(cell: str, seed: int, waits: bool, rounds: pd.DataFrame) -> Agreement:
    by_system = rounds.pivot_table(
        index="server_round", columns="system", values="weights_sha256", aggfunc="last", sort=False
    )
    common = by_system.dropna().sort_index()
    if common.empty:
        return Agreement(cell, seed, 0, {}, None, waits)
    differing = common.index[common.nunique(axis="columns") > 1]
    last = {str(system): str(digest) for system, digest in common.iloc[-1].items()}
    return Agreement(cell, seed, len(common), last, int(differing[0]) if len(differing) else None, waits)


def identity_notes(tables: Tables) -> list[str]:
    """Say in a line or a few whether lines lie on top of each other because the weights are the same."""
    compared = [agreement for agreement in agreements(tables) if agreement.identical is not None]
    return [f"{'Lines coincide: ' if identical else ''}{line}." for line, identical in agreement_lines(compared)]
