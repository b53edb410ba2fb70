"""Cells that are no product of values: a table in an experiment's file, a column per key and a row per cell.

Among ``hydra.sweeper.params`` it is an entry whose key names several keys; where the values of each would be, it has
the rows, a line each::

    clients_per_round round_policy.k: |
      3 3
      6 4
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from experiments.config.errors import ConfigError

Row = tuple[str, ...]  # a word per column, such as ("clients_per_round=6", "round_policy.k=4")


def is_table(name: str) -> bool:
    """Whether an entry of a sweep is a table, by its key."""
    return len(name.split()) > 1


@dataclass(frozen=True)
class CellTable:
    """Some keys, and the values that they have together."""

    keys: tuple[str, ...]
    rows: tuple[Row, ...]

    @classmethod
    def parse(cls, name: str, text: str) -> CellTable:
        """Read an entry.

        Raises
        ------
        ConfigError
            If a row has another number of values than there are keys.
        """
        keys = tuple(name.split())
        lines = [line.split() for line in text.splitlines() if line.strip()]
        for line in lines:
            if len(line) != len(keys):
                raise ConfigError(f"{' '.join(line)!r}: a row needs {len(keys)} values, one for each of {name}")
        return cls(keys, tuple(_row(keys, line) for line in lines))

    def narrowed(self, key: str, words: Sequence[str]) -> CellTable:
        """Return the rows that have one of these values; if there are none, all rows, with these values in its place.

        Examples
        --------
        >>> table = CellTable.parse("rounds clients", "20 3 \\n 20 6 \\n 50 6")
        >>> table.narrowed("clients", ["clients=3"]).rows
        (('rounds=20', 'clients=3'),)
        >>> table.narrowed("rounds", ["rounds=1"]).rows
        (('rounds=1', 'clients=3'), ('rounds=1', 'clients=6'))
        """
        column = self.keys.index(key)
        chosen = [row for row in self.rows if row[column] in words]
        changed = ((*row[:column], word, *row[column + 1 :]) for row in self.rows for word in words)
        return replace(self, rows=tuple(dict.fromkeys(chosen or changed)))


def _row(keys: Iterable[str], values: Iterable[str]) -> Row:
    return tuple(f"{key}={value}" for key, value in zip(keys, values, strict=True))
