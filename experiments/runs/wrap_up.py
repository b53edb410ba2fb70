"""What is said when the runs of a cell are over."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console

from experiments.config.schema import ExperimentConfig
from experiments.runs.cell import CellResult
from experiments.runs.run_files import LOG
from metrics.collect.row_files import RUNS

_LOG_LINES, _TRACEBACK_LINES = 6, 20


def close(out: Path, result: CellResult, console: Console, config: ExperimentConfig) -> None:
    """Say what the runs of a cell came to, and which of them failed and why.

    After a signal to stop nothing is drawn: somebody is waiting for the prompt. The tables are complete all the same.
    """
    if result.signal_number is not None:
        rounds = sum(row.rounds for row in result.rows.values())
        console.print(f"stopped: the {rounds} finished rounds are in the tables in {out}", style="yellow", markup=False)
        console.print("the same command goes on after them", style="yellow", markup=False)
    elif any(row.rounds for row in result.rows.values()):
        conclude(out, console, config)
    tell_failures(out, result, console)


def conclude(out: Path, console: Console, config: ExperimentConfig) -> None:
    """Price the runs of a folder, print their comparison, and write the report and, if wanted, the figures."""
    from experiments.config.prices import price_folder  # noqa: PLC0415 - only if there is something to price
    from metrics.report.report import finish  # noqa: PLC0415 - matplotlib only if there is something to draw

    for line in price_folder(out, config):
        console.print(line, style="yellow", markup=False)
    command = shlex.join(["python", "-m", "experiments.run", *sys.argv[1:]])
    finish(out, console, command, figures=config.figures)


def tell_failures(out: Path, result: CellResult, console: Console) -> None:
    """Say how runs failed, with the traceback from their logs; of one that was stopped, only that it was."""
    for row in result.failed:
        label = f"{row.backend} seed {row.seed} {row.status} after {row.rounds} rounds: {row.error}"
        style = "yellow" if row.status == "interrupted" else "bold red"
        console.print(label, style=style, markup=False, soft_wrap=True)
        if row.status != "interrupted":
            tell_log(out / RUNS / row.run_id / LOG, console)


def tell_log(log: Path, console: Console) -> None:
    """Print the last traceback of a log, or its last lines if it has none, and where it is."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    shown = lines[starts[-1] :][-_TRACEBACK_LINES:] if starts else lines[-_LOG_LINES:]
    for line in shown:
        console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)
    console.print(f"  its whole log: {log}", markup=False, soft_wrap=True)
