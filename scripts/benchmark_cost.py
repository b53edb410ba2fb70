"""How long pricing takes, beside writing it down.

    python scripts/benchmark_cost.py            # 100,000 rows of invocations, every policy

The rows are invented; the prices are those of conf/.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from rich.console import Console

from experiments.config.compose import compose_cells
from experiments.config.prices import price_book
from metrics.collect.row_types import TABLES
from metrics.collect.schema import schema
from metrics.cost.bill import bill, every_policy, price

ROUNDS, CLIENTS = 500, 100  # of two runs: 100,000 invocations


def invented() -> dict[str, pd.DataFrame]:
    """Return tables of a run of functions and one of machines, with plausible times."""
    random = np.random.default_rng(0)
    frames = {name: pd.DataFrame(columns=schema(row).names) for name, row in TABLES.items()}
    names, rounds = ["flower", "openwhisk"], np.arange(1, ROUNDS + 1)
    runs = pd.DataFrame({"run_id": names, "backend": names, "platform": [None, "openwhisk"]})
    runs = runs.assign(
        clients=CLIENTS, clients_per_round=CLIENTS, rounds=ROUNDS, wall_s=50.0 * ROUNDS + 30, optimizer_state="reset"
    )
    grid = pd.MultiIndex.from_product([names, rounds, range(CLIENTS)], names=["run_id", "server_round", "client_id"])
    calls = grid.to_frame(index=False)
    calls["function"], calls["status"], calls["activation_id"] = "client", "success", "a"
    calls["function_s"] = random.uniform(0.5, 1.5, len(calls))
    is_function = calls["run_id"] == "openwhisk"
    calls["provider_s"] = (calls["function_s"] + 0.05).where(is_function)
    calls["memory_limit_bytes"] = pd.Series(2.0**30, calls.index).where(is_function)
    calls["submitted_at"], calls["client_s"] = 50.0 * calls["server_round"], 0.5 * (calls["client_id"] + 1)
    calls["bytes_in"] = calls["bytes_out"] = 1_590_360
    steps = pd.MultiIndex.from_product([names, rounds], names=["run_id", "server_round"]).to_frame(index=False)
    made = {"runs": runs, "rounds": steps.assign(round_s=50.0), "invocations": calls}
    return frames | {name: frame.reindex(columns=frames[name].columns) for name, frame in made.items()}


def main() -> None:
    """Print the medians of some repetitions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, help="default 5")
    repetitions = parser.parse_args().repetitions
    (cell,) = compose_cells([])
    frames, book, console = invented(), price_book(cell.config), Console()
    rows = len(frames["invocations"])
    for title, work in (
        ("one price list and policy", lambda: price(frames, book)),
        ("all policies", lambda: bill(frames, every_policy(book))),
    ):
        times = []
        for _ in range(repetitions):
            start = time.perf_counter()
            found = work()
            times.append(time.perf_counter() - start)
        seconds = f"{np.median(times):.2f} s, n = {repetitions}"
        console.print(f"{rows:,} invocations, {title}: {seconds}; {len(found):,} rows")


if __name__ == "__main__":
    main()
