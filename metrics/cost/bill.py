"""The bill of an experiment, from its tables alone: a row per run, round and item."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.collect.cost_table import BILLING, COLUMNS, COST, ITEMS
from metrics.collect.row_types import SCHEMA_VERSION
from metrics.collect.tables import Tables, write
from metrics.cost.functions import UNITS, usage, usd
from metrics.cost.machine_hours import ROUND, held_seconds, machines_usd
from metrics.cost.prices import POLICIES, FunctionPrice, PlacePrice, PriceBook, StorePrice, TrafficPrice, VmPrice
from metrics.cost.traffic import egress_usd, operations_usd
from metrics.cost.vm_count import vm_count

_FUNCTIONS = {"functions": "client", "invokers": "invoker", "aggregator": "aggregator"}


def price(tables: Tables, book: PriceBook) -> pd.DataFrame:
    """Return what every run of an experiment would cost at some prices.

    Parameters
    ----------
    tables
        ``runs``, ``rounds`` and ``invocations``; nothing is run again.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`. ``server_round`` 0 holds set-up and teardown, and what rounding and minimum charges
        add. ``fabric_group`` is the group of a fabric whose functions they are, where each has its own price; null
        elsewhere. ``usd`` is null where no price is known. ``held_s``: how long the round holds its machines.
        ``machines``: how many, null for other items. Runs on a platform are billed as functions, and have no
        ``policy``; all others as machines.

    Raises
    ------
    ValueError
        If the memory of functions is not known or not on offer.
    """
    runs = tables["runs"]
    on_platform = runs["platform"].notna()
    parts = [
        *(_functions_side(tables, runs[on_platform], book) if on_platform.any() else []),
        *(_machines_side(tables, runs[~on_platform], book) if not on_platform.all() else []),
    ]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    bill = pd.concat(parts, ignore_index=True)
    rank = {item: place for place, item in enumerate(ITEMS)}
    order = bill.assign(_place=bill["item"].map(rank)).sort_values([*ROUND, "_place"], kind="stable").index
    return bill.loc[order, COLUMNS].reset_index(drop=True)


def _machines_side(tables: Tables, runs: pd.DataFrame, book: PriceBook) -> list[pd.DataFrame]:
    """Bill runs without a platform: the clients' machines and the controller's, which also aggregates."""
    book = replace(book, billing=replace(book.billing, memory_mb=None, store_on="controller"))
    held = held_seconds(tables, runs, book.billing, book.vm)
    counts = dict(zip(runs["run_id"], vm_count(runs["clients"], runs["clients_per_round"], book.billing), strict=True))
    egress = egress_usd(_calls(tables, runs), book)
    return [
        _rows("vm", machines_usd(held, counts, book.vm), held, book, _cite(book.vm), counts),
        _rows("controller", machines_usd(held, _one(runs), book.vm), held, book, _cite(book.vm), _one(runs)),
        _rows("egress", egress, held, book, _cite(book.egress)),
    ]


def _functions_side(tables: Tables, runs: pd.DataFrame, book: PriceBook) -> list[pd.DataFrame]:
    """Bill runs on a platform: every attempt of all functions, the controller's machine, and the store."""
    held = held_seconds(tables, runs, book.billing, None)
    calls = _calls(tables, runs)
    parts = [_rows("controller", machines_usd(held, _one(runs), book.vm), held, book, _cite(book.vm), _one(runs))]
    where = _groups(calls, book.places)
    for place in book.places:
        parts += _attempts(calls[where == place.group], held, book, place)
    parts += _attempts(calls[where.isna()], held, book, None)
    parts.append(_store(calls, runs, held, book))
    parts.append(_rows("egress", egress_usd(calls, book), held, book, _cite(book.egress)))
    return [part.assign(policy=None, clients_per_vm=np.nan) for part in parts]


def _groups(calls: pd.DataFrame, places: tuple[PlacePrice, ...]) -> pd.Series[str]:
    """Return the group whose price each attempt has; null: the price of all others."""
    known = [place.group for place in places]
    groups = calls["fabric_group"].where(calls["fabric_group"].isin(known)).astype("object")
    in_fabric = calls["run_id"].isin(calls.loc[groups.notna(), "run_id"])
    for place in places:
        if place.has_aggregator:
            groups = groups.mask(in_fabric & (calls["function"] == "aggregator"), place.group)
    return groups


def _attempts(
    calls: pd.DataFrame, held: pd.Series[float], book: PriceBook, place: PlacePrice | None
) -> list[pd.DataFrame]:
    """Bill some attempts at one price, by function."""
    price = place.function if place else book.function
    source = f"{place.pricing}: {_cite(price)}" if place else _cite(price)
    used = calls[[*ROUND, "function"]].join(usage(calls, price, book.billing.memory_mb))
    paid = _beyond_free_tier(used, price) if book.billing.free_tier else used
    costs = pd.Series(usd(paid, price), index=calls.index)
    parts = []
    for item, function in _FUNCTIONS.items():
        of_function = calls[calls["function"] == function]
        by_round = costs[of_function.index].groupby([of_function[name] for name in ROUND]).sum(min_count=1)
        if len(by_round):
            rows = _rows(item, by_round, held, book, source)
            parts.append(rows.assign(fabric_group=place.group) if place else rows)
    return parts


def _store(calls: pd.DataFrame, runs: pd.DataFrame, held: pd.Series[float], book: PriceBook) -> pd.DataFrame:
    if book.billing.store_on == "operations":
        return _rows("store", operations_usd(calls, runs, book.store), held, book, _cite(book.store))
    if book.billing.store_on == "vm":
        return _rows("store", machines_usd(held, _one(runs), book.vm), held, book, _cite(book.vm), _one(runs))
    return _rows("store", held * 0.0, held, book, "on the controller's machine")


def _beyond_free_tier(used: pd.DataFrame, price: FunctionPrice) -> pd.DataFrame:
    """Scale what each run used down to what is beyond the monthly allowance."""
    free = [price.free_gb_s, price.free_vcpu_s, price.free_ghz_s, price.free_requests]
    totals = used.groupby("run_id")[list(UNITS)].transform("sum")
    paid_share = ((totals - free).clip(lower=0.0) / totals.where(totals > 0)).fillna(0.0)
    return used.assign(**{unit: used[unit] * paid_share[unit] for unit in UNITS})


def _rows(
    item: str,
    costs: pd.Series[float],
    held: pd.Series[float],
    book: PriceBook,
    source: str,
    machines: dict[str, float] | None = None,
) -> pd.DataFrame:
    rows = costs.rename("usd").reset_index()
    keys = pd.MultiIndex.from_frame(rows[ROUND])
    billing = {name: getattr(book.billing, name) for name in BILLING}
    if book.billing.policy != "packed":
        billing["clients_per_vm"] = np.nan
    rows = rows.assign(
        schema_version=SCHEMA_VERSION,
        item=item,
        fabric_group=None,
        held_s=held.reindex(keys).to_numpy(),
        machines=rows["run_id"].map(machines) if machines else np.nan,
        pricing=book.name,
        vm=book.vm.name,
        source=source,
        **billing,
    )
    return rows.astype({"usd": "float64", "machines": "float64", "memory_mb": "float64", "clients_per_vm": "float64"})


def _calls(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    calls = tables["invocations"]
    return calls[calls["run_id"].isin(runs["run_id"])]


def _one(runs: pd.DataFrame) -> dict[str, float]:
    return dict.fromkeys(runs["run_id"], 1.0)


def _cite(price: FunctionPrice | TrafficPrice | StorePrice | VmPrice) -> str:
    """Name the document that a price was seen in, and when."""
    return ", ".join(filter(None, [price.source, price.date]))


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
    return write(out, COST, table)
