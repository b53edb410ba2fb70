"""Tables of text in a terminal: readable from 80 columns on, with no word and no interval broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from metrics.report.ink import QUIET
from metrics.report.table import Table

_UNBOUNDED = 10_000  # columns
_BELOW = "\n"  # where an interval goes if there is no room beside its value


def show_table(table: Table, title: str, console: Console) -> None:
    """Print a table under a title.

    Where it is too wide, intervals get lines of their own; where it still is, the first of two columns of labels
    becomes headings.
    """
    grid = _grid(table, title)
    if _width(grid, console) > console.width:
        grid = _grid(table, title, _BELOW)
    if table.labels > 1 and _width(grid, console) > console.width:
        _show_under_headings(table, title, console)
    else:
        console.print(grid)


def _show_under_headings(table: Table, title: str, console: Console) -> None:
    """Show each row's first label above it, and the second as well where no room is left for its longest word."""
    rest = replace(
        table,
        header=table.header[1:],
        sections=tuple(tuple(row[1:] for row in section) for section in table.sections),
        labels=table.labels - 1,
    )
    widths = _widths(rest)
    room = widths[0] - max(0, _width(_grid(rest, "", _BELOW, widths), console) - console.width)
    if room < _longest_word(rest):
        _show_under_headings(_in_one_label(table), title, console)
        return
    widths[0] = max(1, room)
    console.print(_grid(replace(rest, sections=()), title, _BELOW, widths))
    for heading, rows in _by_heading(table):
        console.print(Text(heading, style="bold"))
        part = _grid(replace(rest, sections=(rows,)), "", _BELOW, widths)
        part.show_header = part.show_edge = False
        console.print(part, Text(""), sep="")


def _longest_word(table: Table) -> int:
    """Return the length of the longest word of the first labels; without any, no room is too little."""
    return max((len(word) for row in table.rows for word in row[0].split()), default=-_UNBOUNDED)


def _in_one_label(table: Table) -> Table:
    """Return the table with the first two labels of each row in the first, and nothing in the second."""
    rows, label = [], ""
    for first, second, *numbers in table.rows:
        label = first or label
        rows.append((f"{label}: {second}", "", *numbers))
    return replace(table, header=(table.header[0], "", *table.header[2:]), sections=(tuple(rows),))


def _by_heading(table: Table) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    """Return the rows without their first label under each; a row without one belongs to the label above it."""
    found: list[tuple[str, tuple[tuple[str, ...], ...]]] = []
    for heading, *row in table.rows:
        last, rows = found.pop() if found and not heading else (heading, ())
        found.append((last, (*rows, tuple(row))))
    return found


def _grid(table: Table, title: str, before_interval: str = " ", widths: Sequence[int | None] = ()) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    grid.collapse_padding = bool(widths)
    for place, heading in enumerate(table.header):
        is_label = place < table.labels
        grid.add_column(
            Text(heading),
            justify="left" if is_label else "right",
            overflow="fold",
            no_wrap=table.labels == 1 and is_label and not widths,
            width=widths[place] if widths else None,
        )
    for section in table.sections:
        for row in section:
            style = QUIET if row[0].startswith("  ") else ""
            grid.add_row(*(Text(text.replace(" [", f"{before_interval}["), style=style) for text in row))
        grid.add_section()
    return grid


def _widths(table: Table) -> list[int]:
    """Return columns' widths: that of the longest label, and of the longest number or word of a heading."""
    columns = list(zip(*table.rows, strict=True))
    labels = [max(map(len, column)) for column in columns[: table.labels]]
    numbers = [
        max(map(len, (*heading.split(), *(part for text in column for part in text.replace(" [", "\n[").split("\n")))))
        for heading, column in zip(table.header[table.labels :], columns[table.labels :], strict=True)
    ]
    return [*labels, *numbers]


def _width(grid: RichTable, console: Console) -> int:
    return console.measure(grid, options=console.options.update(width=_UNBOUNDED)).maximum
