"""What runs would cost, as text: the same for the terminal and the report."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import pandas as pd

from metrics.analysis.costs import per_scenario, scenario_label, varying_in
from metrics.analysis.labels import BASELINE, label_runs
from metrics.analysis.statistics import Median, median, write_median
from metrics.collect.cost_table import COST, SCENARIO
from metrics.collect.tables import Tables
from metrics.collect.units import NOT_MEASURED, write
from metrics.cost.breakeven import break_evens
from metrics.report.table import Table

_HEADER = ("system", "billed as", "n", "USD per round", "to target", "whole run", "accuracy per USD")
_VALUES = {"usd_per_round": "usd", "usd_to_target": "usd", "usd": "usd", "accuracy_per_usd": "per_usd"}
_OF_A_LINE = ["vm_system", "function_system", "pricing", "vm", "policy", "clients_per_vm", "memory_mb", "store_on"]


def cost_tables(frames: Tables) -> list[tuple[str, Table]]:
    """Return, for each cell, the costs by system and scenario, and the break-even; each with its title."""
    labels = label_runs(frames["runs"])[["run_id", "cell", "system", "backend", "status", "target_accuracy"]]
    priced = labels[labels["status"] == "success"].merge(per_scenario(frames), on="run_id", sort=False)
    if priced.empty:
        return []
    varying, crossings = varying_in(frames[COST]), break_evens(frames)
    found = []
    for cell, of_cell in priced.groupby("cell", sort=False):
        found.append((_title("Cost", cell), _costs(of_cell, frames, varying)))
        crossing = crossings[(crossings["cell"] == cell) & (crossings["vm_backend"] != BASELINE)]
        if len(crossing):
            found.append((_title("Break-even", cell), _crossings(crossing)))
    return found


def _title(words: str, cell: Hashable) -> str:
    return ", ".join(filter(None, [words, str(cell)]))


def _costs(priced: pd.DataFrame, frames: Tables, varying: list[str]) -> Table:
    sections = []
    reached = frames["runs"].set_index("run_id")["rounds_to_target"].notna()
    for system, of_system in priced.groupby("system", sort=False):
        rows: list[tuple[str, ...]] = []
        for _, runs in of_system.groupby(SCENARIO, sort=False, dropna=False):
            scenario = scenario_label(runs.iloc[0], varying) or "functions"
            censored = list(~runs["run_id"].map(reached) & runs["target_accuracy"].notna())
            values = [
                write_median(median(runs[name], censored if name == "usd_to_target" else None), unit)
                for name, unit in _VALUES.items()
            ]
            rows.append(("" if rows else str(system), scenario, str(len(runs)), *values))
        sections.append(tuple(rows))
    return Table(_HEADER, tuple(sections), labels=2)


def _crossings(found: pd.DataFrame) -> Table:
    header = ("machines", "against functions", "n", "busy share", "rounds an hour")
    varying = [name for name in _OF_A_LINE if found[name].nunique(dropna=False) > 1]
    rows = []
    for _, pairs in found.groupby(_OF_A_LINE, sort=False, dropna=False):
        first = pairs.iloc[0]
        share, rate = median(pairs["busy_share"]), median(pairs["rounds_per_hour"])
        functions = [str(first["function_system"])]
        functions += [f"{first['memory_mb']:g} MB"] if "memory_mb" in varying and pd.notna(first["memory_mb"]) else []
        scenario = scenario_label(first, [name for name in ("pricing", "vm") if name in varying])
        rows.append(
            (
                f"{first['vm_system']}, {scenario}",
                ", ".join(functions),
                str(share.n),
                busy(share),
                write(rate.value, "rate") if share.n else NOT_MEASURED,
            )
        )
    return Table(header, (tuple(rows),), labels=2)


def break_even_lines(frames: Tables) -> list[str]:
    """Return a line for each pair of systems: the busy shares of its machines below which functions are cheaper."""
    if COST not in frames or frames[COST].empty:
        return []
    crossings = break_evens(frames)
    crossings = crossings[crossings["vm_backend"] != BASELINE]
    lines = []
    for (cell, machines, functions), pairs in crossings.groupby(["cell", "vm_system", "function_system"], sort=False):
        shares = [
            f"{busy(median(of_policy['busy_share']))} ({scenario_label(of_policy.iloc[0], [])})"
            for _, of_policy in pairs.groupby(["policy", "clients_per_vm"], sort=False, dropna=False)
        ]
        where = f"{cell}: " if cell else ""
        lines.append(f"{where}{functions} is cheaper than {machines} below a busy share of {', '.join(shares)}.")
    return lines


def busy(share: Median) -> str:
    """Write the busy share of a break-even."""
    return "nothing (never)" if share.value == 0 else write_median(share, "share")


def notes_on_costs(frames: Tables) -> list[str]:
    """Return how the costs are to be read."""
    cost = frames.get(COST)
    return [] if cost is None or cost.empty else [*_rules(cost), *_memory(frames, cost)]


def sources_of_costs(frames: Tables) -> list[str]:
    """Return where the prices are from, and what is not in the costs."""
    cost = frames.get(COST)
    return [] if cost is None or cost.empty else [*_sources(cost), *_gaps(frames, cost)]


def _rules(cost: pd.DataFrame) -> Iterator[str]:
    first = cost[cost["policy"].notna()].head(1)
    machines = f", machines {first['vm'].iloc[0]}" if len(first) else ""
    policy = f" by {scenario_label(first.iloc[0], [])}" if len(first) else ""
    yield (
        f"Costs, US dollars, at list prices of {cost['pricing'].iloc[0]}{machines}{policy} unless said otherwise: "
        "nothing was paid. USD per round: without set-up and teardown; docs/cost.md has the formulas."
    )
    if (cost["round_time"] == "modelled").any():
        yield "Rounds are modelled: all clients at once, as machines or functions for each would train them."
    if cost["policy"].notna().any() and cost["policy"].isna().any():
        yield (
            "Busy share: the part of the time for which rounds keep the machines busy. Below the one given, functions "
            "are cheaper; above 100 % they are cheaper even if the machines are never idle."
        )


def _sources(cost: pd.DataFrame) -> Iterator[str]:
    for pricing, rows in cost[cost["item"] == "functions"].groupby("pricing", sort=False):
        yield f"Prices of functions, {pricing}: {'; '.join(rows['source'].unique())}."
    for vm, rows in cost[cost["machines"].notna()].groupby("vm", sort=False):
        yield f"Prices of machines, {vm}: {'; '.join(rows['source'].unique())}."


def _gaps(frames: Tables, cost: pd.DataFrame) -> Iterator[str]:
    unknown = cost[cost["usd"].isna()]
    for item, rows in unknown.groupby("item", sort=False):
        yield f"Not in the sums, because no price was seen: {item} ({', '.join(rows['pricing'].unique())})."
    first = _calls(frames).query("server_round == 1")
    cold = int(first["is_cold"].eq(True).sum())
    if 0 < cold < len(first):
        yield (
            f"{cold} of {len(first)} client functions of first rounds started cold; where all run at once, every one "
            "does, which is not in the sums."
        )


def _memory(frames: Tables, cost: pd.DataFrame) -> Iterator[str]:
    peaks = _calls(frames)["worker_peak_rss_bytes"]
    if (peaks > cost["memory_mb"].min() * 2**20).any():
        peak = write(float(peaks.max()), "bytes")
        yield f"Functions used up to {peak}: with {cost['memory_mb'].min():g} MB they would have been killed."


def _calls(frames: Tables) -> pd.DataFrame:
    """Return the invocations of clients' functions."""
    calls = frames["invocations"].merge(frames["runs"][["run_id", "platform"]], on="run_id", suffixes=("_call", ""))
    return calls[calls["platform"].notna() & (calls["function"] == "client")]
