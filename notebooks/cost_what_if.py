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
# # What would a run cost at other prices?
#
# You can price a finished experiment again for any provider, memory size, machine and policy. Nothing is run again:
# `python -m experiments.reprice RESULTS pricing=NAME`. This notebook answers four such questions for the small
# experiment in `data/smoke`. Set the environment variable `RESULTS` to use a folder of your own. `docs/cost.md` has
# the formulas; `conf/pricing` has the source of each price.

# %%
import os
from pathlib import Path

import pandas as pd

import metrics
from experiments.reprice import reprice
from metrics.cost.breakeven import break_evens
from metrics.analysis.costs import per_scenario
from metrics.analysis.kpis import per_run
from metrics.analysis.loading import load_all
from metrics.collect.cost_table import COST
from metrics.collect.units import write

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
# ## Which provider is cheaper?

# %%
by_provider = usd_per_round(priced("pricing=aws_lambda_x86,google_cloud_run", "billing.policy=per_client"), "pricing")
print(by_provider.to_string())

# %% [markdown]
# ## How does the memory of functions change the bill?
#
# Functions are billed by their memory limit. The table changes the bill and not the time. On a real platform, a
# function with less memory may also be slower.

# %%
by_memory = usd_per_round(priced("pricing=aws_lambda_x86", "billing.memory_mb=1024,2048"), "memory_mb")
print(by_memory.to_string())

# %% [markdown]
# ## How many machines are needed?
#
# There are three policies. `per_client`: one machine for each client, also billed when idle. `per_selected`: one
# machine for each client that a round selects. `packed`: several selected clients on each machine.

# %%
by_policy = usd_per_round(priced("billing.policy=per_client,per_selected,packed"), "policy")
print(by_policy.to_string())

# %% [markdown]
# ## Above which busy share are machines cheaper?
#
# Machines cost money by the hour, also when they do not work. The busy share is the part of the time in which they
# work. Below the break-even share, functions are cheaper. If the break-even share is above 1, functions are cheaper
# even if the machines are never idle.

# %%
crossing = break_evens(priced("billing.policy=per_client,per_selected,packed"))
columns = ["vm_system", "function_system", "policy", "rounds_per_hour", "busy_share"]
print(crossing[columns].round(4).to_string(index=False))
