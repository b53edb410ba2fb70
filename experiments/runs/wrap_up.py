"""What is printed and written when the runs of a cell are over."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path

from rich.console import Console

from experiments.config.errors import disk_problem
from experiments.config.prices import price_folder
from experiments.config.schema import ExperimentConfig
from experiments.printing import say
from experiments.runs.cell import CellResult
from experiments.runs.run_files import LOG
from metrics.collect.row_files import RUNS
from metrics.report.ink import BAD, QUIET, WARN

_LOG_LINES, _TRACEBACK_LINES = 6, 20


def finish_cell(out: Path, result: CellResult, console: Console, config: ExperimentConfig) -> bool:
    """Report on the runs of a cell, and on those that failed; return whether all could be written that should be.

    After a signal to stop nothing is drawn, because somebody is waiting for the prompt. The tables are complete all the
    same.
    """
    is_told = True
    if result.signal_number is not None:
        rounds = sum(row.rounds for row in result.rows.values())
        say(console, f"stopped: the {rounds} finished rounds are in the tables in {out}", WARN)
        say(console, "the same command continues after them", WARN)
    elif any(row.rounds for row in result.rows.values()):
        is_told = conclude(out, console, config)
        if result.trackers is not None:
            result.trackers.attach(out)
    report_failures(out, result, console)
    return is_told


def conclude(out: Path, console: Console, config: ExperimentConfig) -> bool:
    """Price the runs of a folder, print their comparison, and write the report and, if wanted, the figures.

    These are steps of their own: where one fails, that is told, and the others are made.

    Returns
    -------
    bool
        Whether all of them could be made.
    """
    from metrics.report.report import finish  # noqa: PLC0415 - Matplotlib: half a second, before the first run

    failed: list[Exception] = []
    try:
        for line in price_folder(out, config):
            say(console, line, WARN)
    except OSError as error:
        failed.append(error)
    command = shlex.join(["python", "-m", "experiments.run", *sys.argv[1:]])
    failed += finish(out, console, command, figures=config.figures)
    for problem in failed:
        if isinstance(problem, OSError):
            said = disk_problem(out, problem)
        else:  # a mistake of ours: where it is helps whoever mends it
            said = f"{type(problem).__name__}: {problem}"
            traceback.print_exception(problem)
        say(console, said, f"bold {BAD}")
    return not failed


def report_failures(out: Path, result: CellResult, console: Console) -> None:
    """Print how runs failed, with the traceback from their logs; of a stopped run, only that it was stopped."""
    for line in result.errors:
        say(console, line, f"bold {BAD}")
    for row in result.failed:
        label = f"{row.backend} seed {row.seed} {row.status} after {row.rounds} rounds: {row.error}"
        style = WARN if row.status == "interrupted" else f"bold {BAD}"
        say(console, label, style)
        if row.status != "interrupted":
            print_log(out / RUNS / row.run_id / LOG, console)


def print_log(log: Path, console: Console) -> None:
    """Print the last traceback of a log, or its last lines if it has none, and where it is."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    shown = lines[starts[-1] :][-_TRACEBACK_LINES:] if starts else lines[-_LOG_LINES:]
    for line in shown:
        console.print(f"  {line}", style=QUIET, markup=False, soft_wrap=True)
    console.print(f"  the whole log: {log}", markup=False, soft_wrap=True)
