"""Both topologies side by side, from invented runs: six pairs, whose differences are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from metrics.analysis.comparisons.platforms import usd_by_place
from metrics.analysis.comparisons.topologies import topologies
from metrics.analysis.labels import label_runs
from metrics.collect.cost_table import COST
from metrics.collect.tables import load

Tables = dict[str, pd.DataFrame]
FEDKEEPER = '{"topology": {"name": "fedkeeper"}}'


def with_fedkeeper(tables: Tables, slower_s: float, dearer: float) -> Tables:
    """Every run of openwhisk once more, under FedKeeper's topology: each round slower, each function dearer."""
    direct = tables["runs"].loc[tables["runs"]["backend"] == "openwhisk", "run_id"]
    more = {
        name: frame[frame["run_id"].isin(direct)].assign(run_id=frame["run_id"] + "-fedkeeper")
        for name, frame in tables.items()
    }
    more["runs"] = more["runs"].assign(config=FEDKEEPER)
    more["rounds"] = more["rounds"].assign(round_s=more["rounds"]["round_s"] + slower_s)
    is_functions = more[COST]["item"] == "functions"
    more[COST] = more[COST].assign(usd=more[COST]["usd"].mask(is_functions, more[COST]["usd"] * dearer))
    return {name: pd.concat([frame, more[name]], ignore_index=True) for name, frame in tables.items()}


def experiment(make_experiment: Callable[..., Path], seeds: range) -> Tables:
    return with_fedkeeper(load(make_experiment(seeds=seeds)), slower_s=2.0, dearer=1.5)


def test_six_pairs_have_an_interval_of_their_differences(make_experiment: Callable[..., Path]) -> None:
    found = topologies(experiment(make_experiment, range(6))).set_index(["measure", "kind"])
    assert set(found["n"]) == {6}
    slower = found.loc["median_round_s", "difference"]
    assert (slower["value"], slower["low"], slower["high"]) == pytest.approx((2.0, 2.0, 2.0))
    assert slower["coverage"] == pytest.approx(1 - 2 / 2**6)
    assert slower["p_value"] == pytest.approx(2 / 2**6)  # all six in one direction
    direct, fedkeeper = (found.loc[("median_round_s", kind), "value"] for kind in ("direct", "fedkeeper"))
    assert fedkeeper - direct == pytest.approx(2.0)
    assert found.loc[("median_round_function_usd", "ratio"), "value"] == pytest.approx(1.5)
    more = found.loc[("usd_per_round", "difference"), "value"]
    assert more == pytest.approx(found.loc[("median_round_function_usd", "difference"), "value"])
    assert more == pytest.approx(0.5 * 10 * (0.6 * 1e-5 + 1e-6))  # half of ten clients a round


def test_five_pairs_have_none(make_experiment: Callable[..., Path]) -> None:
    found = topologies(experiment(make_experiment, range(5)))
    assert found["low"].isna().all()
    assert found["p_value"].isna().all()
    assert set(found["n"]) == {5}


def test_runs_without_a_partner_are_no_pair(make_experiment: Callable[..., Path]) -> None:
    tables = experiment(make_experiment, range(3))
    runs = tables["runs"]
    runs.loc[runs["run_id"] == "openwhisk-1-fedkeeper", "status"] = "failed"
    assert set(topologies(tables)["n"]) == {2}
    runs.loc[runs["run_id"].str.endswith("fedkeeper"), "status"] = "failed"
    assert topologies(tables).empty


def test_other_systems_have_no_topology(make_experiment: Callable[..., Path]) -> None:
    tables = load(make_experiment())
    tables["runs"] = tables["runs"].replace({"backend": {"openwhisk": "fabric"}})
    assert topologies(tables).empty


def test_without_prices_times_are_compared_all_the_same(make_experiment: Callable[..., Path]) -> None:
    tables = experiment(make_experiment, range(2))
    del tables[COST]
    assert set(topologies(tables)["measure"]) == {"median_round_s"}


def test_topologies_are_systems_of_one_cell(make_experiment: Callable[..., Path]) -> None:
    runs = label_runs(experiment(make_experiment, range(1))["runs"])
    assert set(runs["cell"]) == {""}
    mine = runs[runs["backend"] == "openwhisk"].set_index("run_id")["system"]
    assert mine["openwhisk-0"] == "openwhisk (direct, emulated)"
    assert mine["openwhisk-0-fedkeeper"] == "openwhisk (fedkeeper, emulated)"
    assert set(runs.loc[runs["backend"] != "openwhisk", "system"]) == {"inprocess", "flower"}


def test_without_prices_of_their_own_places_have_no_dollars(make_experiment: Callable[..., Path]) -> None:
    assert usd_by_place(load(make_experiment())).empty
