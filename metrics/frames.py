"""Rows of a table as plain dictionaries."""

from __future__ import annotations

from typing import Any

import pandas as pd


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
