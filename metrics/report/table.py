"""Text in rows and columns, for the terminal and for Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Parameters
    ----------
    header
        One text per column.
    sections
        Rows, in groups that are set apart.
    labels
        How many of the first columns hold words; the others hold numbers.
    """

    header: tuple[str, ...]
    sections: tuple[tuple[tuple[str, ...], ...], ...]
    labels: int = 1

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """All rows."""
        return [row for section in self.sections for row in section]
