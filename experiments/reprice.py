"""Prices a finished experiment again, from its tables; nothing is run.

Usage: ``python -m experiments.reprice RESULTS pricing=NAME[,NAME...] [vm=TYPE] [policy=...] [memory_mb=...] ...``

Every key of the sections ``pricing``, ``vm`` and ``billing`` of ``conf/`` may be given; those of ``billing`` without
its name. Several values with commas are priced one after another. Without ``policy`` all policies are priced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError, did_you_mean, disk_problem
from experiments.config.overrides import keys, options
from experiments.config.price_schema import BillingConfig
from experiments.config.prices import price_book
from experiments.printing import guarded
from metrics.collect import tables
from metrics.collect.cost_table import COST
from metrics.collect.tables import Tables
from metrics.cost.bill import bill, every_policy, write_bill
from metrics.cost.prices import PriceBook
from metrics.report.cost_tables import cost_tables, notes_on_costs, sources_of_costs
from metrics.report.ink import QUIET
from metrics.report.terminal import show_table

USAGE = "usage: python -m experiments.reprice RESULTS pricing=NAME [vm=TYPE] [policy=...] [memory_mb=...]"
_BILLING = tuple(field.name for field in fields(BillingConfig))
_ALL = "all"


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Price what the command line asks for, print the costs and the files, and return the exit code."""
    try:
        folder, words = parse(sys.argv[1:] if arguments is None else arguments)
        frames = tables.load(folder)
        found = reprice(frames, words)
    except (ConfigError, FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        files = write_bill(folder, found)
    except OSError as error:
        print(f"error: {disk_problem(folder, error)}", file=sys.stderr)
        return 2
    show({**frames, COST: found}, files, console or Console(highlight=False))
    return 0


def parse(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder of the results, and the overrides of the configuration.

    Raises
    ------
    ConfigError
        If the folder is missing, or a key has nothing to do with prices.
    """
    folders = [argument for argument in arguments if "=" not in argument]
    if len(folders) != 1:
        raise ConfigError(f"name one folder of results, not {len(folders)}", USAGE)
    folder = Path(folders[0])
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; `python -m experiments.run +exp=quickstart` makes one", USAGE)
    return folder, [_override(argument) for argument in arguments if "=" in argument]


def _override(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key in _BILLING:
        return f"billing.{argument}"
    if key == "pricing" and value == _ALL:
        return f"pricing={','.join(options('pricing'))}"
    known = [*_BILLING, "pricing", "vm", *(name for name in keys() if name.startswith(("pricing.", "vm.")))]
    if key not in known and not key.startswith("billing."):
        raise ConfigError(
            f"unknown key {key!r}{did_you_mean(key, known)}; allowed are pricing, vm, {', '.join(_BILLING)}, and keys "
            "such as pricing.egress.per_gb",
            USAGE,
        )
    return argument


def reprice(frames: Tables, words: Sequence[str]) -> pd.DataFrame:
    """Return the bills of an experiment under every combination of values that ``words`` give.

    Raises
    ------
    ConfigError
        If a value is impossible, nothing can be priced, or the price of function time is not known.
    """
    if frames["runs"].empty:
        raise ConfigError("no run has left a row in these tables: there is nothing to price")
    books = [price_book(cell.config) for cell in compose_cells(list(words), multirun=True)]
    if frames["runs"]["platform"].notna().any():
        books = _known(books)
    if not any(word.startswith("billing.policy=") for word in words):
        books = [each for book in books for each in every_policy(book)]
    return bill(frames, books)


def _known(books: Sequence[PriceBook]) -> list[PriceBook]:
    """Return the books whose price of function time is known, and say which others were left out."""
    known = [book for book in books if book.function.is_known]
    for name, book in {book.name: book for book in books if not book.function.is_known}.items():
        missing = [key for key, value in asdict(book.function).items() if value is None]
        why = (
            f"no source for {' and '.join(missing)} was seen, so it is empty; give your own, such as "
            f"pricing={name} pricing.function.{missing[0]}=1.6e-5 (USD)"
        )
        if not known:
            raise ConfigError(f"pricing={name}: {why}")
        print(f"{name}: left out: {why}", file=sys.stderr)
    return known


def show(frames: Tables, files: Sequence[Path], console: Console) -> None:
    """Print the costs, the break-even, where the prices are from, and the files."""
    for title, table in cost_tables(frames):
        show_table(table, title, console)
    for line in [*notes_on_costs(frames), *sources_of_costs(frames)]:
        console.print(Text(line, style=QUIET))
    for path in files:
        console.print(Text(str(path)), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
