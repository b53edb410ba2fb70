"""Whether the tables of an experiment can be believed: the rules that they follow, and cold starts measured twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metrics.analysis.checks.rules import RULES
from metrics.collect.cluster_facts import parse_cluster
from metrics.collect.tables import Tables

_WHERE = ("run_id", "server_round", "function", "client_id", "attempt")


@dataclass(frozen=True)
class Broken:
    """A rule that some rows break.

    Parameters
    ----------
    rule
        What should be true.
    table
        The table in which it is not.
    rows
        How many rows break the rule.
    first
        The first of these rows.
    """

    rule: str
    table: str
    rows: int
    first: str

    def __str__(self) -> str:
        """Say it in one line.

        Examples
        --------
        >>> print(Broken("no phase is negative", "rounds", 2, "run_id=flower-s0 server_round=3"))
        no phase is negative: 2 rows of rounds break it, first run_id=flower-s0 server_round=3
        """
        verb = "row of {} breaks" if self.rows == 1 else "rows of {} break"
        return f"{self.rule}: {self.rows} {verb.format(self.table)} it, first {self.first}"


def check(tables: Tables) -> list[Broken]:
    """Return the rules that the tables break.

    Parameters
    ----------
    tables
        As :func:`metrics.collect.tables.load` returns them.
    """
    broken = []
    tables = {name: _with_part(table) for name, table in tables.items()}
    for rule in RULES:
        mask = rule.broken(tables).fillna(False).astype(bool)
        if mask.any():
            row = tables[rule.table][mask.to_numpy()].iloc[0]
            first = " ".join(f"{key}={row[key]}" for key in _WHERE if key in row and pd.notna(row[key]))
            broken.append(Broken(rule.text, rule.table, int(mask.sum()), first))
    return broken


def _with_part(table: pd.DataFrame) -> pd.DataFrame:
    """Count rows that are older than the column as rows of a run's first part."""
    return table.assign(part=table["part"].fillna(0)) if "part" in table else table


@dataclass(frozen=True)
class ColdStarts:
    """Cold starts, measured twice: by the function's own flag, and by ``initTime`` in the platform's record.

    Parameters
    ----------
    activations
        How many have both a flag and a record.
    both
        How many are cold according to both.
    flag_only, record_only
        How many are cold according to only one of them.
    """

    activations: int
    both: int
    flag_only: int
    record_only: int

    @property
    def disagreements(self) -> int:
        """How many activations the flag and the record disagree about."""
        return self.flag_only + self.record_only


def cold_starts(invocations: pd.DataFrame) -> ColdStarts:
    """Compare flag and record of all activations that have both, where the platform's records report starts."""
    said = invocations["provider_s"].notna() & invocations["provider_start"].eq("reported")
    seen = invocations[said & invocations["is_cold"].notna()]
    flag, record = seen["is_cold"].astype(bool), seen["init_s"].notna()
    return ColdStarts(len(seen), int((flag & record).sum()), int((flag & ~record).sum()), int((~flag & record).sum()))


def consistency_lines(tables: Tables) -> list[tuple[str, bool | None]]:
    """Return a line on each of rules, cold starts, sampled CPU seconds and clusters, and whether all is well with it.

    ``None`` in place of a truth: the line gives a figure, which is neither good nor bad.
    """
    runs = tables["runs"]
    return [
        *_rules(tables, check(tables)),
        *_cold_starts(cold_starts(tables["invocations"])),
        *_sampled(runs),
        *cluster_lines(runs),
    ]


def _rules(tables: Tables, broken: Sequence[Broken]) -> list[tuple[str, bool | None]]:
    if broken:
        return [(f"tables NOT consistent: {fault}", False) for fault in broken]
    sizes = ", ".join(f"{len(tables[name]):,} {name}" for name in ("runs", "rounds", "invocations"))
    return [(f"tables consistent: {len(RULES)} checks passed ({sizes})", True)]


def _cold_starts(found: ColdStarts) -> list[tuple[str, bool | None]]:
    if not found.activations:
        return []
    if not found.disagreements:
        of = f"{found.both} cold, of {found.activations:,} activations"
        return [(f"cold starts: the functions' flags and the platform's records agree ({of})", True)]
    about = f"{found.disagreements} of {found.activations:,} activations"
    which = f"{found.flag_only} cold by the flag only, {found.record_only} by the record only"
    return [(f"cold starts: the functions' flags and the platform's records DISAGREE about {about} ({which})", False)]


def _sampled(runs: pd.DataFrame) -> list[tuple[str, bool | None]]:
    known = runs[runs["sampled_cpu_s"].notna() & (runs["cpu_s"] > 0)]
    if known.empty:
        return []
    missing = (1 - known["sampled_cpu_s"] / known["cpu_s"]).max()
    sampler = (known["sampler_cpu_s"] / known["wall_s"]).max()
    line = f"CPU seconds: at most {max(missing, 0.0):.1%} of a run's are in no role of samples"
    return [(f"{line}; sampling took at most {sampler:.2%} of a core", None)]


def cluster_lines(runs: pd.DataFrame) -> list[tuple[str, bool | None]]:
    """Return a line on what went wrong with pods, and a line per fact that the cluster did not report, if any."""
    watched = [parse_cluster(text) for text in runs.get("cluster", pd.Series(dtype="object")).dropna()]
    if not watched:
        return []
    versions = ", ".join(sorted({facts.get("kubernetes") or "an unknown version" for facts in watched}))
    events = Counter(event["reason"] for facts in watched for event in facts["events"])
    trouble = ", ".join(f"{reason} {count}" for reason, count in events.most_common()) or "no pod in trouble"
    notes = dict.fromkeys(note for facts in watched for note in facts["notes"])  # each once
    return [
        (f"cluster (Kubernetes {versions}): {trouble}", None if events else True),
        *((f"cluster: {note}", None) for note in notes),
    ]
