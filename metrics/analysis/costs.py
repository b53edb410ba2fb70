"""The figures of a bill: USD per round, to the target, and accuracy for the money."""

from __future__ import annotations

from typing import Any

import pandas as pd

from metrics.collect.cost_table import AROUND, COST, ESSENTIAL, SCENARIO
from metrics.collect.tables import Tables

USD_KPIS = ("usd_per_round", "usd_to_target", "usd", "accuracy_per_usd")


def per_scenario(tables: Tables) -> pd.DataFrame:
    """Return a row per run and scenario (prices, machine, policy, ...) of the table ``cost``.

    ``usd``: the whole run. ``usd_per_round``: the rounds' cost by their number, without set-up and teardown.
    ``usd_to_target``: set-up and teardown, and the rounds up to the one that reached the target; if it was not reached,
    what was spent without reaching it, which is a lower bound. ``accuracy_per_usd``: best test accuracy by ``usd``. All
    are null if the price of the clients' functions or machines is not known; other items of unknown price are left out.
    """
    cost = tables[COST]
    runs = {str(run["run_id"]): run for _, run in tables["runs"].iterrows()}
    rows = []
    for keys, bill in cost.groupby(["run_id", *SCENARIO], sort=False, dropna=False):
        named = dict(zip(["run_id", *SCENARIO], keys, strict=True))
        rows.append({**named, **_figures(bill, runs[str(named["run_id"])])})
    return pd.DataFrame(rows, columns=["run_id", *SCENARIO, *USD_KPIS])


def _figures(bill: pd.DataFrame, run: pd.Series[Any]) -> dict[str, float]:
    unknown = bill.loc[bill["item"].isin(ESSENTIAL), "usd"].isna()
    if unknown.any():
        return dict.fromkeys(USD_KPIS, float("nan"))
    by_round = bill.groupby("server_round")["usd"].sum()
    total = float(by_round.sum())
    target, rounds, best = (run[name] for name in ("rounds_to_target", "rounds", "best_test_accuracy"))
    nothing = float("nan")
    spent = float(by_round[by_round.index <= target].sum()) if pd.notna(target) else total
    return {
        "usd_per_round": float(by_round[by_round.index != AROUND].sum()) / rounds if rounds else nothing,
        "usd_to_target": spent if pd.notna(run["target_accuracy"]) else nothing,
        "usd": total,
        "accuracy_per_usd": best / total if total and pd.notna(best) else nothing,
    }


def headline(tables: Tables) -> pd.DataFrame:
    """Return the first scenario of each run, the one that the experiment was priced with; empty if it was not."""
    if COST not in tables or tables[COST].empty:
        return pd.DataFrame(columns=["run_id", *USD_KPIS])
    return per_scenario(tables).drop_duplicates("run_id")[["run_id", *USD_KPIS]]


def scenario_label(row: pd.Series[Any], varying: list[str]) -> str:
    """Say what a scenario is: what varies between scenarios of a table, and the policy of machines."""
    words = []
    for name in varying:
        value = row[name]
        if name in ("policy", "clients_per_vm") or pd.isna(value):
            continue
        words.append(_WORDS.get(name, "{}").format(value))
    if pd.notna(row["policy"]):
        policy = str(row["policy"])
        words.append(f"{row['clients_per_vm']:g} per VM" if policy == "packed" else f"VM {policy.replace('_', ' ')}")
    return ", ".join(words)


_WORDS = {
    "memory_mb": "{:g} MB",
    "store_on": "store on {}",
    "egress_share": "egress of {:.0%}",
    "free_tier": "free tier {}",
    "round_time": "{} rounds",
}


def varying_in(cost: pd.DataFrame) -> list[str]:
    """Return the columns of a scenario in which the rows of a table differ."""
    return [name for name in SCENARIO if cost[name].dropna().nunique() > 1]
