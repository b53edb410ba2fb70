"""Tables are readable from 80 columns on: no word, number or interval is ever broken."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from metrics.report.table import Table
from metrics.report.terminal import show_table

CELL = "6 a round, first {} count, selection fastest_mix, at most 50 rounds, no target"
SYSTEM = "openwhisk (256 MB, 6 workers, emulated)"
NUMBERS = ("6", "0.9729 [0.9601-0.9788]", "12 [10-13]", "0.78 s [0.77-0.80 s]", "77.6 s [76.1-80.3 s]", "671 MiB")
TABLE = Table(
    ("", "system", "n", "best accuracy", "rounds to target", "later rounds, median", "CPU, whole run", "peak memory"),
    tuple(((CELL.format(k), "flower", *NUMBERS), ("", SYSTEM, *NUMBERS)) for k in (4, 6)),
    labels=2,
)


def shown(table: Table, width: int, title: str = "") -> list[str]:
    text = io.StringIO()
    show_table(table, title, Console(width=width, file=text))
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_labels_that_leave_no_room_for_numbers_become_headings(width: int) -> None:
    lines = shown(TABLE, width)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line.startswith("6 a round")] == [CELL.format(4), CELL.format(6)]
    words = {word for line in lines for word in line.split()}
    assert {"openwhisk", "emulated)", "0.9729", "[0.9601-0.9788]", "[76.1-80.3", "accuracy"} <= words


def test_columns_stand_above_each_other_under_all_headings() -> None:
    lines = [line for line in shown(TABLE, 100) if line.startswith(("flower", "openwhisk"))]
    assert len(lines) == 4
    assert {line.index("671 MiB") for line in lines} == {lines[0].index("671 MiB")}


def test_where_no_room_is_left_for_systems_they_are_in_the_headings() -> None:
    wide = tuple((*row[:2], *(f"{number} and some more words" for number in row[2:])) for row in TABLE.rows)
    lines = shown(Table(TABLE.header, (tuple(wide),), labels=2), 80)
    headings = " ".join(line for line in lines)
    for k in (4, 6):
        for system in ("flower", SYSTEM):
            assert f"{CELL.format(k)}: {system}" in headings


def test_where_there_is_room_a_table_stays_a_table() -> None:
    assert any(CELL.format(4) in line and "flower" in line for line in shown(TABLE, 300))


def test_a_row_without_a_label_belongs_to_the_one_above_and_every_label_is_a_heading_once() -> None:
    rows = (("machines, per client", SYSTEM, "1"), ("", SYSTEM, "2"), ("machines, two each", SYSTEM, "3"))
    lines = shown(Table(("machines", "against", "n"), (rows,), labels=2), 60, "Break-even")
    assert lines[0] == "Break-even"
    told = [line for line in lines if line.startswith("machines") or line.endswith(("1", "2", "3"))]
    assert [line.split()[-1] for line in told] == ["client", "1", "2", "each", "3"]
