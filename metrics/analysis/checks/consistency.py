"""Whether the tables of an experiment can be believed: the laws that they obey, and what two witnesses say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from metrics.analysis.checks.laws import LAWS
from metrics.collect.tables import Tables

_WHERE = ("run_id", "server_round", "function", "client_id", "attempt")


@dataclass(frozen=True)
class Broken:
    """A law that rows break.

    Parameters
    ----------
    law
        What should hold.
    table
        Where it does not.
    rows
        How many rows break it.
    first
        Which is the first of them.
    """

    law: str
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
        return f"{self.law}: {self.rows} {verb.format(self.table)} it, first {self.first}"


def check(tables: Tables) -> list[Broken]:
    """Return the laws that the tables break.

    Parameters
    ----------
    tables
        As :func:`metrics.collect.tables.load` returns them.
    """
    broken = []
    tables = {name: _with_part(table) for name, table in tables.items()}
    for law in LAWS:
        mask = law.broken(tables).fillna(False).astype(bool)
        if mask.any():
            row = tables[law.table][mask.to_numpy()].iloc[0]
            first = " ".join(f"{key}={row[key]}" for key in _WHERE if key in row and pd.notna(row[key]))
            broken.append(Broken(law.text, law.table, int(mask.sum()), first))
    return broken


def _with_part(table: pd.DataFrame) -> pd.DataFrame:
    """Let rows that are older than the column be of a run's first part."""
    return table.assign(part=table["part"].fillna(0)) if "part" in table else table


@dataclass(frozen=True)
class ColdStarts:
    """What the two witnesses of a cold start say: the function's own flag, and ``initTime`` in the platform's record.

    Parameters
    ----------
    activations
        How many have both.
    both
        Cold by both.
    flag_only, record_only
        Cold by one of them only.
    """

    activations: int
    both: int
    flag_only: int
    record_only: int

    @property
    def disagreements(self) -> int:
        """How many activations the witnesses disagree about."""
        return self.flag_only + self.record_only


def cold_starts(invocations: pd.DataFrame) -> ColdStarts:
    """Compare the witnesses of all activations that have a record and a word of the function's own."""
    said = invocations["provider_s"].notna() & invocations["provider_start"].eq("reported")
    seen = invocations[said & invocations["is_cold"].notna()]
    flag, record = seen["is_cold"].astype(bool), seen["init_s"].notna()
    return ColdStarts(len(seen), int((flag & record).sum()), int((flag & ~record).sum()), int((~flag & record).sum()))


def tell(tables: Tables) -> list[tuple[str, bool | None]]:
    """Say in a line each, with whether it is well: laws, cold starts, CPU seconds that no sample saw, and clusters."""
    runs = tables["runs"]
    return [
        *_laws(tables, check(tables)),
        *_cold_starts(cold_starts(tables["invocations"])),
        *_sampled(runs),
        *tell_cluster(runs),
    ]


def _laws(tables: Tables, broken: Sequence[Broken]) -> list[tuple[str, bool | None]]:
    if broken:
        return [(f"tables NOT consistent: {fault}", False) for fault in broken]
    sizes = ", ".join(f"{len(tables[name]):,} {name}" for name in ("runs", "rounds", "invocations"))
    return [(f"tables consistent: {len(LAWS)} laws hold ({sizes})", True)]


def _cold_starts(found: ColdStarts) -> list[tuple[str, bool | None]]:
    if not found.activations:
        return []
    if not found.disagreements:
        of = f"{found.both} cold, of {found.activations:,} activations"
        return [(f"cold starts: the functions' flags and the platform's records agree ({of})", True)]
    said = f"{found.flag_only} cold by the flag only, {found.record_only} by the record only"
    return [(f"cold starts: witnesses DISAGREE about {found.disagreements} of {found.activations:,} ({said})", False)]


def _sampled(runs: pd.DataFrame) -> list[tuple[str, bool | None]]:
    known = runs[runs["sampled_cpu_s"].notna() & (runs["cpu_s"] > 0)]
    if known.empty:
        return []
    missing = (1 - known["sampled_cpu_s"] / known["cpu_s"]).max()
    sampler = (known["sampler_cpu_s"] / known["wall_s"]).max()
    line = f"CPU seconds: at most {max(missing, 0.0):.1%} of a run's in no role of samples"
    return [(f"{line}; sampling took at most {sampler:.2%} of a core", None)]


def tell_cluster(runs: pd.DataFrame) -> list[tuple[str, bool | None]]:
    """Say in a line per kind of trouble what befell pods, and what the cluster did not tell; nothing without one."""
    watched = [json.loads(text) for text in runs.get("cluster", pd.Series(dtype="object")).dropna()]
    if not watched:
        return []
    versions = ", ".join(sorted({facts.get("kubernetes") or "an unknown version" for facts in watched}))
    events = Counter(event["reason"] for facts in watched for event in facts["events"])
    told = ", ".join(f"{reason} {count}" for reason, count in events.most_common()) or "no pod in trouble"
    lines: list[tuple[str, bool | None]] = [(f"cluster (Kubernetes {versions}): {told}", None if events else True)]
    return lines + [(f"cluster: {note}", None) for note in _distinct(watched)]


def _distinct(watched: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(note for facts in watched for note in facts["notes"]))
