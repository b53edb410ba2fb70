"""The report as one HTML file that needs nothing else: no network, no other file, no library in the browser."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from metrics.report.content import QUESTION, Content, Picture
from metrics.report.difference_tables import TITLE as TESTED
from metrics.report.svg import colours, embed

_FOLDER = Path(__file__).parent
_MOST_ROWS = 60  # of a figure's data that are shown; the link has all


@dataclass(frozen=True)
class _Shown:
    """A figure on the page: its picture, what it shows, and the whole of that as a link."""

    title: str
    svg: Markup
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int
    csv: str
    csv_name: str


def render(content: Content) -> str:
    """Return the text of ``report.html``."""
    shown = [_shown(picture) for picture in content.pictures if "svg" in picture.files]
    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        content=content,
        findings=content.findings,
        question=QUESTION,
        tested_title=TESTED,
        figures=shown,
        colours=colours(str(figure.svg) for figure in shown),
        style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 # nosec B704 # our own file
        script=Markup(script),  # noqa: S704 # nosec B704 # our own file
        script_hash=_base64(hashlib.sha256(script.encode()).digest()),
    )


def _shown(picture: Picture) -> _Shown:
    header, *rows = picture.data() or [[]]
    svg = embed(picture.files["svg"].read_text(encoding="utf-8"), picture.name)
    return _Shown(
        title=picture.title,
        svg=Markup(svg),  # noqa: S704 # nosec B704 # Matplotlib has escaped what is from tables
        header=header,
        rows=[[_short(value) for value in row] for row in rows[:_MOST_ROWS]],
        more=max(0, len(rows) - _MOST_ROWS),
        csv=f"data:text/csv;charset=utf-8;base64,{_base64(picture.files['csv'].read_bytes())}",
        csv_name=picture.files["csv"].name,
    )


def _short(value: str) -> str:
    """Write a number with six figures, and leave other text as it is."""
    try:
        return f"{float(value):.6g}" if "." in value else value
    except ValueError:
        return value


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
