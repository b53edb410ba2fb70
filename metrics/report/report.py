"""What a reader sees when an experiment has ended: a comparison in the terminal, figures, and the same as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from machine.files import write_whole
from metrics.collect.cost_table import COST
from metrics.collect.row_types import TABLES
from metrics.collect.tables import Tables, load
from metrics.plots import PNG, SVG, NoDataError
from metrics.plots.draw import draw
from metrics.report import html, markdown
from metrics.report.answer import next_step
from metrics.report.content import collect_content
from metrics.report.difference_tables import TITLE as TESTED
from metrics.report.findings import Findings, find
from metrics.report.ink import BAD, GOOD, QUIET, WARN
from metrics.report.terminal import show_table

REPORT = "report.html"  # and the same as Markdown
_AGREEMENT_STYLES = {True: GOOD, False: f"bold {BAD}", None: QUIET}


def finish(out: Path, console: Console, command: str | None = None, *, figures: bool = True) -> list[Exception]:
    """Print the closing comparison of the experiment in ``out``, draw its figures and write its report.

    Parameters
    ----------
    out
        Folder with the collected tables.
    console
        Where to print; readable from 80 columns on.
    command
        The command line that made the results, for the report.
    figures
        Whether to draw them.

    Returns
    -------
    list of Exception
        Why the comparison could not be printed, the figures not drawn or the report not written: each is made though
        another one failed.

    Raises
    ------
    FileNotFoundError
        If the tables have not been collected.
    """
    frames = load(out)
    if frames["runs"].empty:
        console.print(Text(f"No run has left a row in {out}: there is nothing to compare.", style=WARN))
        return []
    findings = find(frames)
    report = out / REPORT
    failed: list[Exception] = []
    drawn: list[Path] = []
    with _step(failed):
        show(findings, console, ahead(findings, frames, out, command))
    with _step(failed):
        drawn = _draw(out, frames, console) if figures else []
    with _step(failed):
        content = collect_content(findings, frames, drawn, out, command)
        write_whole(report, html.render(content).encode())
        write_whole(report.with_suffix(".md"), markdown.render(content).encode())
    with _step(failed):
        no_figures = "none" if figures else "none; the same command with figures=true draws them"
        _show_files(out, report, drawn, console, no_figures)
    return failed


@contextmanager
def _step(failed: list[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever it is, the other steps are worth making
        failed.append(error)


def ahead(findings: Findings, frames: Tables, out: Path, command: str | None) -> list[tuple[str, str]]:
    """Return what most readers want to know, each with its label: the answer, where the report is, what to do next."""
    following, why = next_step(frames["runs"], findings.answer, out, command)
    return [("answer", findings.answer.text), ("report", str(out / REPORT)), ("next", f"{why}:\n        {following}")]


def show(findings: Findings, console: Console, first: Sequence[tuple[str, str]] = ()) -> None:
    """Print what an experiment found, with some labelled lines ahead of its tables."""
    console.print()
    console.print(Text.assemble((findings.title, "bold"), f": {findings.learnt}"))
    if first:
        _show_ahead(first, console)
    for cell, table in findings.compared:
        show_table(table, cell, console)
    if findings.tested is not None:
        show_table(findings.tested, TESTED, console)
    for line, identical in findings.agreements:
        console.print(Text(line, style=_AGREEMENT_STYLES[identical]))
    for line in findings.unfinished:
        console.print(Text(line, style=BAD))
    for line in findings.notes:
        console.print(Text(line, style=QUIET))


def _show_ahead(lines: Sequence[tuple[str, str]], console: Console) -> None:
    """Print labelled lines; only the first, a sentence, is broken: paths and commands are copied."""
    for place, (label, text) in enumerate(lines):
        if place:
            console.print(Text.assemble((f"{label:<8}", "bold"), text), soft_wrap=True)
        else:
            grid = RichTable.grid(padding=(0, 2))
            grid.add_row(Text(label, style="bold"), Text(text))
            console.print(grid)


def _draw(out: Path, frames: Tables, console: Console) -> list[Path]:
    try:
        return list(draw(out, frames, formats=(PNG, SVG)).files)
    except NoDataError as error:
        console.print(Text(str(error), style=WARN))
        return []


def _tables_in(out: Path) -> list[str]:
    return [name for name in (*TABLES, COST) if (out / f"{name}.parquet").exists()]


def _show_files(out: Path, report: Path, drawn: list[Path], console: Console, no_figures: str) -> None:
    pictures = ",".join(path.stem for path in drawn if path.suffix == ".png")
    listed = {
        "report": f"{report.with_suffix('')}.{{html,md}}",
        "tables": f"{out}/{{{','.join(_tables_in(out))}}}.{{parquet,csv}}",
        "figures": f"{out}/figures/{{{pictures}}}.{{png,svg,csv}}" if pictures else no_figures,
        "per run": f"{out if (out / 'runs').is_dir() else out / '<cell>'}/runs/<run_id>",
    }
    console.print()
    for label, text in listed.items():
        console.print(Text.assemble((f"{label:<9}", "bold"), text), soft_wrap=True)
