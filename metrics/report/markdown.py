"""The report of an experiment as Markdown: what the terminal showed, with what is needed to judge and repeat it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metrics.report.content import Content
from metrics.report.difference_tables import TITLE as TESTED
from metrics.report.table import Table


def render(content: Content) -> str:
    """Return the text of ``report.md``; paths in it are relative to its folder."""
    findings = content.findings
    pictures = [picture.files["png"].relative_to(content.out) for picture in content.pictures if "png" in picture.files]
    parts = [
        f"# {findings.title}",
        f"{findings.learnt}.",
        f"**{findings.answer.text}**",
        *(["Before you read on:", _bullets(content.warnings)] if content.warnings else []),
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
        _table(content.runs),
        *(["What their set-up consisted of, medians:", _table(content.steps)] if content.steps else []),
        "## How it was made",
        *([_fenced(content.command)] if content.command else []),
        "The whole configuration of each run is in the column `config` of `runs`.",
        "The figures again, from the tables:",
        _fenced(content.redraw),
        _bullets(content.provenance),
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


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _fenced(command: str) -> str:
    return f"```sh\n{command}\n```"
