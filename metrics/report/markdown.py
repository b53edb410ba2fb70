"""The report of an experiment as Markdown: what the terminal showed, with what is needed to judge and repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from metrics.collect.tables import Tables
from metrics.collect.units import memory, write
from metrics.report.difference_tables import TITLE as TESTED
from metrics.report.findings import Findings
from metrics.report.setup_steps import setup_steps
from metrics.report.table import Table

_MACHINE = ["cpu_model", "cores", "cgroup_cpu_cores", "memory_bytes", "cgroup_memory_bytes", "os"]
_CODE = ["commit", "dirty", "python_version", "packages"]


def render(findings: Findings, frames: Tables, drawn: Sequence[Path], out: Path, command: str | None) -> str:
    """Return the text of ``report.md``.

    Parameters
    ----------
    drawn
        Files of the figures; the pictures among them are shown.
    out
        Folder of the report; paths in it are relative to it.
    command
        The command line that made the results, if it is known.
    """
    runs = frames["runs"]
    steps = setup_steps(out, runs)
    pictures = [path.relative_to(out) for path in drawn if path.suffix == ".png"]
    parts = [
        f"# {findings.title}",
        f"{findings.learnt}.",
        f"**{findings.answer.text}**",
        "## The systems side by side",
        *(text for cell, table in findings.compared for text in (f"### {cell}" if cell else "", _table(table))),
        *([f"### {TESTED}", _table(findings.tested)] if findings.tested else []),
        _bullets(line for line, _ in findings.agreements),
        *(["Runs that did not finish:", _bullets(findings.unfinished)] if findings.unfinished else []),
        "How to read it:",
        _bullets([*findings.notes, *findings.sources]),
        *(["## Figures"] if pictures else []),
        *(f"![{path.stem.replace('_', ' ')}]({path.as_posix()})" for path in pictures),
        "## Runs",
        _table(_runs(runs)),
        *(["What their set-up consisted of, medians:", _table(steps)] if steps else []),
        "## How it was made",
        *([_fenced(command)] if command else []),
        "The whole configuration of each run is in the column `config` of `runs`.",
        "The figures again, from the tables:",
        _fenced(f"python -m experiments.figures {out} figure=all"),
        _bullets([*_machines(runs), *_versions(runs)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(table: Table) -> str:
    """Write a table in GitHub's Markdown; what is indented keeps its indent."""
    alignment = [":--" if place < table.labels else "--:" for place in range(len(table.header))]
    return "\n".join(_row(cells) for cells in (table.header, alignment, *table.rows))


def _row(cells: Sequence[str]) -> str:
    written = [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
    indents = ["&emsp;" if cell.startswith("  ") else "" for cell in written]
    return f"| {' | '.join(indent + cell.strip() for indent, cell in zip(indents, written, strict=True))} |"


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


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _fenced(command: str) -> str:
    return f"```sh\n{command}\n```"
