"""The table ``cost``: what the runs would have cost; a row per run, round and item under each scenario.

:mod:`metrics.cost` makes it from the other tables. It is the only one that no run writes.
"""

from __future__ import annotations

COST = "cost"
ITEMS = ("functions", "vm", "invokers", "aggregator", "controller", "store", "egress")
ESSENTIAL = ("functions", "vm")  # without their price nothing is known of a run's cost
AROUND = 0  # the round that stands for set-up, teardown and what billing adds
BILLING = ["policy", "clients_per_vm", "memory_mb", "store_on", "egress_share", "free_tier", "round_time"]
SCENARIO = ["pricing", "vm", *BILLING]  # what a bill assumes
_KEYS = ["run_id", "schema_version", "server_round", "item", "fabric_group"]
COLUMNS = [*_KEYS, "usd", "held_s", "machines", *SCENARIO, "source"]
