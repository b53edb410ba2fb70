"""The report of an experiment as Markdown: what the terminal showed, with what is needed to judge and repeat it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from metrics.report.content import Content
from metrics.report.difference_tables import TITLE as TESTED
from metrics.report.table import Table

_MEANT = re.compile(  # by CommonMark and GitHub: code, emphasis, HTML, entities, links, and signs that begin a block
    r"[\\`*]|<(?=[a-z/!?])|&(?=#?\w+;)|\[(?=[^\]]*\][\[(:])|(?<![0-9a-z])_|_(?![0-9a-z])|~(?=~)|^[#>+=-]", re.IGNORECASE
)


def render(content: Content) -> str:
    """Return the text of ``report.md``; paths in it are relative to its folder."""
    findings = content.findings
    pictures = [picture.files["png"].relative_to(content.out) for picture in content.pictures if "png" in picture.files]
    parts = [
        f"# {escaped(findings.title)}",
        f"{escaped(findings.learnt)}.",
        f"**{escaped(findings.answer.text)}**",
        *(["Before you read on:", _bullets(content.warnings)] if content.warnings else []),
        "## The systems side by side",
        *(
            text
            for cell, table in findings.compared
            for text in (f"### {escaped(cell)}" if cell else "", _table(table))
        ),
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
    return "\n".join([_row(table.header), f"| {' | '.join(alignment)} |", *map(_row, table.rows)])


def _row(cells: Sequence[str]) -> str:
    written = [escaped(cell).replace("|", "\\|") for cell in cells]
    indents = ["&emsp;" if cell.startswith("  ") else "" for cell in written]
    return f"| {' | '.join(indent + cell.strip() for indent, cell in zip(indents, written, strict=True))} |"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def escaped(text: str) -> str:
    """Write a text, which may be from outside, so that Markdown shows it as it is, in one line.

    Only signs that would mean something where they stand get a backslash: intervals in brackets, names with
    underscores and ``<= 5`` stay readable in the file.

    Examples
    --------
    >>> escaped("<img src=x> ![a](http://b) p < 0.01 [1, 2] a_b *c*")
    '\\\\<img src=x> !\\\\[a](http://b) p < 0.01 [1, 2] a_b \\\\*c\\\\*'
    """
    return _MEANT.sub(r"\\\g<0>", " ".join(text.splitlines()))


def _fenced(command: str) -> str:
    return f"```sh\n{command}\n```"
