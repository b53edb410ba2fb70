# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # What if it were billed otherwise?
#
# A finished experiment can be priced again for any provider, memory size, machine and policy without running anything:
# `python -m experiments.reprice RESULTS pricing=NAME`. This notebook asks a few such questions of the small experiment that is
# kept beside it; set `RESULTS` to a folder of your own. Formulas and the source of each price are in `docs/cost.md` and
# `conf/pricing`.

# %%
import os
from pathlib import Path

import pandas as pd

import metrics
from experiments.reprice import reprice
from metrics.cost.breakeven import break_evens
from metrics.cost.summary import per_scenario
from metrics.kpis import per_run
from metrics.merging import load_all
from metrics.tables import COST
from metrics.units import write

HERE = Path(metrics.__file__).parents[1] / "notebooks"
RESULTS = Path(os.environ.get("RESULTS", HERE / "data" / "smoke"))
tables = load_all([RESULTS])
systems = per_run(tables)[["run_id", "system"]]


def priced(*words: str) -> dict[str, pd.DataFrame]:
    """The tables with the bills under every combination of these choices."""
    return {**tables, COST: reprice(tables, list(words))}


def usd_per_round(frames: dict[str, pd.DataFrame], *columns: str) -> pd.DataFrame:
    """Each system's USD per round by what was varied; a column that does not apply to a side is empty."""
    found = systems.merge(per_scenario(frames), on="run_id")
    found = found.groupby(["system", *columns], sort=False, dropna=False)["usd_per_round"].median()
    return found.map(lambda value: write(value, "usd")).unstack("system").fillna("")


# %% [markdown]
# ## Which provider?

# %%
by_provider = usd_per_round(priced("pricing=aws_lambda_x86,google_cloud_run", "billing.policy=per_client"), "pricing")
print(by_provider.to_string())

# %% [markdown]
# ## How much memory?
#
# Functions are billed by their memory limit. This changes the bill, not the time: less memory may also be slower.

# %%
by_memory = usd_per_round(priced("pricing=aws_lambda_x86", "billing.memory_mb=1024,2048"), "memory_mb")
print(by_memory.to_string())

# %% [markdown]
# ## How are the machines shared out?
#
# One machine for each client, idle ones billed; one for each client that a round selects; or several clients on each.

# %%
by_policy = usd_per_round(priced("billing.policy=per_client,per_selected,packed"), "policy")
print(by_policy.to_string())

# %% [markdown]
# ## From which busy share on are machines cheaper?
#
# Machines cost by the hour whether they work or not. Below the break-even share of busy time, functions are cheaper; above 1,
# they are cheaper even if the machines are never idle.

# %%
crossing = break_evens(priced("billing.policy=per_client,per_selected,packed"))
columns = ["vm_system", "function_system", "policy", "rounds_per_hour", "busy_share"]
print(crossing[columns].round(4).to_string(index=False))
