"""From a configuration to the prices that :mod:`metrics.cost` takes, and from tables to a bill on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from experiments.config import ExperimentConfig
from metrics import tables
from metrics.cost.bill import price
from metrics.cost.prices import (
    POLICIES,
    Billing,
    FunctionPrice,
    PriceBook,
    StorePrice,
    TrafficPrice,
    VmPrice,
)
from metrics.kpis import Tables
from metrics.tables import COST


def price_book(config: ExperimentConfig) -> PriceBook:
    """Return the prices and rules of a valid configuration."""
    pricing = config.pricing
    function: dict[str, Any] = asdict(pricing.function)
    return PriceBook(
        name=pricing.name,
        service=pricing.service,
        region=pricing.region,
        function=FunctionPrice(**{**function, "tiers": _tiers(pricing.function.tiers)}),
        egress=TrafficPrice(**asdict(pricing.egress)),
        store=StorePrice(**asdict(pricing.store)),
        vm=VmPrice(**asdict(config.vm)),
        billing=Billing(**asdict(config.billing)),
    )


def _tiers(pairs: list[list[float]]) -> tuple[tuple[int, float], ...]:
    return tuple((int(memory_mb), clock_ghz) for memory_mb, clock_ghz in pairs)


def every_policy(book: PriceBook) -> list[PriceBook]:
    """Return a book for each policy of machines, the one that was chosen first."""
    chosen = book.billing.policy
    policies = [chosen, *(policy for policy in POLICIES if policy != chosen)]
    return [replace(book, billing=replace(book.billing, policy=policy)) for policy in policies]


def bill(frames: Tables, books: Iterable[PriceBook]) -> pd.DataFrame:
    """Return the bills of an experiment under several books; what does not differ between them is in it once.

    Raises
    ------
    ValueError
        If the memory of functions is not known or not on offer.
    """
    bills = pd.concat([price(frames, book) for book in books], ignore_index=True)
    return bills.drop_duplicates(ignore_index=True)


def write_bill(out: Path, found: pd.DataFrame) -> list[Path]:
    """Write a bill as ``cost.parquet`` and ``cost.csv``; return the files."""
    table = pa.Table.from_pandas(found, preserve_index=False)
    parquet, csv = out / f"{COST}.parquet", out / f"{COST}.csv"
    pq.write_table(table, parquet)
    pyarrow.csv.write_csv(table, csv)
    return [parquet, csv]


def price_folder(out: Path, config: ExperimentConfig) -> list[str]:
    """Price the collected runs of a folder as configured, under every policy of machines, the configured one first.

    Returns
    -------
    list of str
        Why it could not be done, if it could not: a run is none the worse for it.
    """
    try:
        write_bill(out, bill(tables.load(out), every_policy(price_book(config))))
    except ValueError as error:
        return [f"not priced: {error}"]
    return []
