"""What a report says, put together once: Markdown and HTML are two ways to write the same content."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metrics.analysis.statistics import FEWEST
from metrics.collect.tables import Tables
from metrics.collect.units import memory, write
from metrics.report.findings import Findings
from metrics.report.setup_steps import setup_steps
from metrics.report.table import Table

QUESTION = "What does serverless cost, and what does it save, when the learning itself is exactly the same?"
_MACHINE = ["cpu_model", "cores", "cgroup_cpu_cores", "memory_bytes", "cgroup_memory_bytes", "os"]
_CODE = ["commit", "dirty", "python_version", "packages"]


@dataclass(frozen=True)
class Picture:
    """A figure that was drawn.

    Parameters
    ----------
    files
        By suffix, without its dot: ``png``, ``svg``, and ``csv`` with what is shown.
    """

    name: str
    files: dict[str, Path]

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def data(self) -> list[list[str]]:
        """Return what is shown, as rows of text, the header first."""
        with self.files["csv"].open(encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream))


@dataclass(frozen=True)
class Content:
    """All that stands in a report.

    Parameters
    ----------
    out
        Folder of the report.
    warnings
        What a reader has to know before anything else.
    runs
        A row per run.
    steps
        What the set-up of each system consisted of, if it is known.
    provenance
        A line for each machine and each state of the code.
    command
        The command line that made the results, if it is known.
    redraw
        The command that draws all figures again from the tables.
    """

    out: Path
    findings: Findings
    warnings: tuple[str, ...]
    pictures: tuple[Picture, ...]
    runs: Table
    steps: Table | None
    provenance: tuple[str, ...]
    command: str | None
    redraw: str


def collect_content(
    findings: Findings, frames: Tables, drawn: Sequence[Path], out: Path, command: str | None
) -> Content:
    """Put a report together.

    Parameters
    ----------
    drawn
        Files of the figures.
    """
    runs = frames["runs"]
    return Content(
        out=out,
        findings=findings,
        warnings=tuple(_warnings(findings, runs)),
        pictures=tuple(_pictures(drawn)),
        runs=_runs(runs),
        steps=setup_steps(out, runs),
        provenance=(*_machines(runs), *_versions(runs)),
        command=command,
        redraw=f"python -m experiments.figures {out} figure=all",
    )


def _warnings(findings: Findings, runs: pd.DataFrame) -> Iterator[str]:
    yield from (line for line, is_well in findings.agreements if is_well is False)
    yield from findings.unfinished
    if 0 < findings.answer.pairs < FEWEST:
        pairs = findings.answer.pairs
        yield f"n = {pairs}: too few runs for an interval or a test; {FEWEST} seeds are needed."
    if runs["emulated"].any():
        yield "Functions ran on an emulation of their platform, on one machine: no cluster was measured."
    machines = len(runs[_MACHINE].drop_duplicates())
    if machines > 1:
        yield f"The runs were made on {machines} different machines: their times cannot be compared."
    if runs["dirty"].eq(True).any():
        yield "The code had changes that no commit holds: nobody else can run exactly the same."


def _pictures(drawn: Sequence[Path]) -> Iterator[Picture]:
    by_name: dict[str, dict[str, Path]] = {}
    for path in drawn:
        by_name.setdefault(path.stem, {})[path.suffix.removeprefix(".")] = path
    return (Picture(name, files) for name, files in by_name.items())


def _runs(runs: pd.DataFrame) -> Table:
    header = ("run", "backend", "runtime", "emulated", "status", "rounds", "workers", "wall time")
    rows = tuple(
        (
            row["run_id"],
            row["backend"],
            row["runtime"],
            "yes" if row["emulated"] else "no",
            row["status"],
            str(row["rounds"]),
            f"{row['workers']} × {row['threads_per_client']} thread{'s' if row['threads_per_client'] > 1 else ''}",
            write(row["wall_s"], "s"),
        )
        for row in runs.sort_values(["seed", "backend"]).to_dict("records")
    )
    return Table(header, (rows,), labels=5)


def _machines(runs: pd.DataFrame) -> list[str]:
    lines = []
    for row in runs[_MACHINE].drop_duplicates().to_dict("records"):
        limits = [f"{row['cgroup_cpu_cores']:g} cores"] if pd.notna(row["cgroup_cpu_cores"]) else []
        limits += [memory(row["cgroup_memory_bytes"])] if pd.notna(row["cgroup_memory_bytes"]) else []
        held = f"; its control group allows {' and '.join(limits)}" if limits else ""
        size = f"{row['cores']} cores, {memory(row['memory_bytes'])}"
        lines.append(f"Machine: {row['cpu_model']}, {size}, {row['os']}{held}.")
    return lines


def _versions(runs: pd.DataFrame) -> list[str]:
    lines = []
    for row in runs[_CODE].drop_duplicates().to_dict("records"):
        changed = " with uncommitted changes" if row["dirty"] is True else ""
        commit = f"commit {row['commit']}{changed}" if isinstance(row["commit"], str) else "no commit known"
        packages = ", ".join(f"{name} {version}" for name, version in json.loads(row["packages"]).items())
        lines.append(f"Code: {commit}; Python {row['python_version']}, {packages}.")
    return lines
