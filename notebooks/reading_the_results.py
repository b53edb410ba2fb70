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
# # Reading the results
#
# This notebook shows how to read the four tables of an experiment with pandas. It uses the small experiment in
# `data/smoke`: three systems and one seed (`data/README.md` has the command). To read your own results, set the
# environment variable `RESULTS` to their folder, for example `results/quickstart`. Open the notebook with Jupyter and
# jupytext, or run it: `python notebooks/reading_the_results.py`. `docs/tables.md` describes every column.

# %%
import os
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd

import metrics
from metrics.report.system_tables import side_by_side
from metrics.analysis.checks.weight_agreement import agreements
from metrics.analysis.comparisons.paired_tests import differences
from metrics.analysis.kpis import per_run, per_system
from metrics.analysis.loading import load_all
from metrics.collect.phases import by_group
from metrics.plots import FIGURES, NoDataError, save

HERE = Path(metrics.__file__).parents[1] / "notebooks"
RESULTS = Path(os.environ.get("RESULTS", HERE / "data" / "smoke"))
tables = load_all([RESULTS])
{name: frame.shape for name, frame in tables.items()}

# %% [markdown]
# ## Did all systems learn the same?
#
# Only then can the other numbers be compared. The hashes of the weights are compared after every round. Equal hashes
# mean bit-identical weights.

# %%
for agreement in agreements(tables):
    print(agreement)

# %% [markdown]
# ## The systems side by side
#
# The table shows medians over seeds. An interval is printed if there are six seeds or more. With fewer seeds no 95 %
# interval of a median exists.

# %%
runs = per_run(tables)
summary = per_system(runs)
for cell, of_cell in summary.groupby("cell", sort=False):
    table = side_by_side(of_cell)
    print(cell or "one cell")
    print(pd.DataFrame(table.rows, columns=table.header).to_string(index=False))

# %% [markdown]
# ## Where the time of a round goes
#
# The phases of a round add up to its wall time. The rest is in its own column, `unattributed`.

# %%
rounds = runs[["run_id", "system"]].merge(tables["rounds"], on="run_id")
phases = pd.DataFrame([{"system": row["system"], **by_group(row)} for row in rounds.to_dict("records")])
phases.insert(1, "round_s", rounds["round_s"])
print(phases.groupby("system", sort=False).mean().round(3).to_string())

# %% [markdown]
# ## Cold starts, measured in two independent ways
#
# `says_cold` is the flag inside the function's process. `record_cold` is true if the platform's record has an
# `initTime`.

# %%
calls = runs[["run_id", "system"]].merge(tables["invocations"], on="run_id").query("function == 'client'")
calls = calls.assign(says_cold=calls["is_cold"].eq(True), record_cold=calls["init_s"].notna())
print(calls.groupby(["system", "says_cold", "record_cold"], sort=False).size().rename("attempts").to_string())

# %% [markdown]
# ## Do the systems differ by more than chance?
#
# Each pair has two runs of one seed on two systems. The ratio compares their later rounds. A test needs six pairs or
# more.

# %%
tests = differences(runs).query("kpi == 'warm_round_s'")
for test in tests.itertuples():
    found = "n too small for a test" if pd.isna(test.p_value) else f"p = {test.p_value:.3f}"
    print(f"{test.right} over {test.left}: {test.ratio.value:.2f} (n = {test.n} pairs, {found})")

# %% [markdown]
# ## The figures
#
# Each figure is drawn from the tables, and its data are beside it as CSV. A figure that does not apply prints the
# reason.

# %%
FOLDER = Path(os.environ.get("FIGURES", mkdtemp()))
drawn = {}
for name in ("accuracy", "time_per_round", "fig4", "fig5", "kpis"):
    try:
        drawn[name] = save(FIGURES[name], tables, FOLDER)
    except NoDataError as error:
        print(f"skipped {error}")
print("\n".join(str(path) for paths in drawn.values() for path in paths))
