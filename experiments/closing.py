"""What is said when the runs of a cell are over."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console

from experiments.archive import RUNS
from experiments.cell import CellResult
from experiments.records import LOG
from metrics.tables import RunRow

_LOG_LINES = 6


def close(out: Path, result: CellResult, console: Console) -> None:
    """Print the comparison, write report and figures, and say which runs failed and why.

    After a signal to stop nothing is drawn: somebody is waiting for the prompt. The tables are complete all the same.
    """
    if result.signal_number is not None:
        rounds = sum(row.rounds for row in result.rows.values())
        console.print(f"stopped: the {rounds} finished rounds are in the tables in {out}", style="yellow", markup=False)
    elif any(row.rounds for row in result.rows.values()):
        from experiments.report import finish  # noqa: PLC0415 - matplotlib only if there is something to draw

        finish(out, console, command=shlex.join(["python", "-m", "experiments.run", *sys.argv[1:]]))
    for row in result.failed:
        _tell_failure(out, row, console)


def _tell_failure(out: Path, row: RunRow, console: Console) -> None:
    """Say how a run failed, with the end of its log; of one that was stopped, only that it was."""
    label = f"{row.backend} seed {row.seed} {row.status} after {row.rounds} rounds: {row.error}"
    if row.status == "interrupted":
        console.print(label, style="yellow", markup=False, soft_wrap=True)
        return
    console.print(label, style="bold red", markup=False, soft_wrap=True)
    log = out / RUNS / row.run_id / LOG
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    for line in [line for line in lines if line.strip()][-_LOG_LINES:]:
        console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)
    console.print(f"  its whole log: {log}", markup=False, soft_wrap=True)
