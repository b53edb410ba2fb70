"""Every column is described, and nothing is described that does not exist."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from metrics.collect.row_types import TABLES

TEXT = (Path(__file__).parents[3] / "docs" / "tables.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES)
def test_the_documented_columns_are_the_columns(table):
    (section,) = re.findall(rf"^## {table} – .*?(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    described = {
        name
        for row in section.splitlines()
        for name in re.findall(r"`(\w+)`", row.removeprefix("|").split("|")[0])
        if row.startswith("|")
    }
    assert described == {column.name for column in fields(TABLES[table])}
