"""Pricing a finished experiment again: what it writes and prints, and what it says when it cannot."""

from __future__ import annotations

import doctest
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from experiments.config.compose import compose_cells
from experiments.config.overrides import options
from experiments.config.prices import price_book, price_folder
from experiments.config.schema import CONFIGS, ExperimentConfig
from experiments.reprice import main
from metrics.collect.cost_table import COLUMNS, COST
from metrics.collect.tables import collect, load
from metrics.cost.prices import Billing

pytestmark = pytest.mark.slow

Experiment = Callable[..., Path]
PRICED = [name for name in options("pricing") if name != "azure_functions"]


def reprice(*words: object, width: int = 80) -> str:
    text = io.StringIO()
    assert main([str(word) for word in words], Console(width=width, file=text)) == 0
    return text.getvalue()


def test_a_finished_experiment_is_priced_again_without_running_anything(make_experiment: Experiment) -> None:
    folder = make_experiment(rounds=3, target_accuracy=0.7)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.stem != COST}
    text = reprice(folder, "pricing=aws_lambda_x86")
    assert {path: path.read_bytes() for path in before} == before
    cost = load(folder)[COST]
    assert set(cost["pricing"]) == {"aws_lambda_x86"}
    assert set(cost["vm"]) == {"m5.large"}  # the provider's own machines, unless told otherwise
    functions = cost[(cost["item"] == "functions") & (cost["server_round"] == 2)]["usd"].item()
    assert functions == pytest.approx(10 * (0.55 * 1.66667e-5 + 0.2e-6))
    assert "artillery" in text
    assert "blog of 2025-04-29" in re.sub(r"\s+", " ", text)
    assert str(folder / "cost.csv") in text.replace("\n", "")
    assert pd.read_csv(folder / "cost.csv")["usd"].sum() == pytest.approx(cost["usd"].sum())


def test_every_policy_is_priced_unless_one_is_named(make_experiment: Experiment) -> None:
    folder = make_experiment()
    reprice(folder, "pricing=google_cloud_run")
    cost = load(folder)[COST]
    assert set(cost["policy"].dropna()) == {"per_client", "per_selected", "packed"}
    assert not cost.duplicated(["run_id", "server_round", "item", "policy"]).any()  # functions are in it once
    reprice(folder, "policy=packed", "clients_per_vm=5", "vm=t3_medium")
    cost = load(folder)[COST]
    assert set(cost["policy"].dropna()) == {"packed"}
    assert set(cost["vm"]) == {"t3.medium"}
    assert cost.loc[cost["item"] == "vm", "machines"].unique().tolist() == [2.0]


def test_memory_is_a_what_if(make_experiment: Experiment) -> None:
    folder = make_experiment()
    text = reprice(folder, "pricing=ibm_cloud_functions", "memory_mb=512,2048")
    cost = load(folder)[COST]
    usd = cost[cost["item"] == "functions"].groupby("memory_mb")["usd"].sum()
    assert usd[2048] == pytest.approx(4 * usd[512])
    assert "with 512 MB they would have been killed" in re.sub(r"\s+", " ", text)


def test_all_price_lists_at_once_leave_out_what_has_no_price(
    make_experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment()
    reprice(folder, "pricing=all", "policy=per_client")
    assert set(load(folder)[COST]["pricing"]) == set(PRICED)
    assert "azure_functions: left out" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 120])
def test_what_is_printed_fits_the_terminal(make_experiment: Experiment, width: int) -> None:
    folder = make_experiment(seeds=range(6), target_accuracy=0.99)
    text = reprice(folder, "pricing=google_functions_gen1,aws_lambda_x86", width=width)
    assert all(len(line) <= width for line in text.splitlines() if str(folder) not in line)
    assert "…" not in text
    assert "busy share" in text


def test_the_break_even_is_printed_as_a_number(make_experiment: Experiment) -> None:
    folder = make_experiment()
    text = reprice(folder, "pricing=google_cloud_run", width=140)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("flower, VM per selected")]
    assert re.search(r"openwhisk \(emulated\) +1 +[\d.,]+% +[\d.,]+", line)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one folder of results, not 0"),
        (["no/such/folder"], "there is no folder no/such/folder"),
        (["{folder}", "pricing=aws"], "aws_lambda_x86"),
        (["{folder}", "pricin=aws_lambda_x86"], "did you mean 'pricing'?"),
        (["{folder}", "rounds=3"], "unknown key 'rounds'"),
        (["{folder}", "policy=per_cleint"], "did you mean 'per_client'?"),
        (["{folder}", "memory_mb=0"], "from 1 to 16,777,216 MB"),
        (["{folder}", "egress_share=2"], "from 0 to 1"),
        (["{folder}", "pricing=google_functions_gen1", "memory_mb=9000"], "up to 8192 MB"),
        (["{folder}", "pricing=azure_functions"], "pricing.function.per_gb_s="),
        (["{folder}", "pricing.function.quantum_s=0"], "pricing.function.quantum_s=0.0: must be more than 0"),
        (["{folder}", "pricing.function.tiers=[[128.0]]"], "must be pairs of MB and GHz"),
        (["{empty}"], "holds no runs.parquet"),
        (["{bare}"], "there is nothing to price"),
    ],
)
def test_a_wrong_command_line_is_explained(
    words: list[str],
    said: str,
    make_experiment: Experiment,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_experiment()
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare").mkdir()
    collect(tmp_path / "bare")
    places = {"folder": folder, "empty": tmp_path / "empty", "bare": tmp_path / "bare"}
    before = (folder / "cost.csv").read_bytes()
    assert main([word.format(**places) for word in words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("error: ")
    assert printed.out == ""
    assert (folder / "cost.csv").read_bytes() == before


def test_prices_can_be_given(make_experiment: Experiment) -> None:
    folder = make_experiment()
    function = ["pricing.function.per_gb_s=1.6e-5", "pricing.function.per_million_requests=0.2"]
    reprice(folder, "pricing=azure_functions", *function, "pricing.egress.per_gb=0.1")
    cost = load(folder)[COST]
    observed_gb = 768 / 1024  # 700 MB in steps of 128
    functions = cost[(cost["item"] == "functions") & (cost["server_round"] == 2)]["usd"].item()
    assert functions == pytest.approx(10 * (0.55 * observed_gb * 1.6e-5 + 0.2e-6))
    assert cost.loc[cost["item"] == "egress", "usd"].gt(0).all()


@pytest.mark.parametrize("name", options("pricing"))
def test_every_price_list_says_how_it_is_used_and_where_it_is_from(name: str) -> None:
    first = (CONFIGS / "pricing" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith(f"# python -m experiments.reprice results/quickstart pricing={name}")
    (cell,) = compose_cells([f"pricing={name}"])
    book = price_book(cell.config)
    assert book.name == name
    assert book.function.is_known == (name != "azure_functions")
    assert book.function.source
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", book.function.date)
    for section in (book.egress, book.store):
        assert (section.source == "none seen") == (None in vars(section).values())


@pytest.mark.parametrize("name", options("pricing"))
def test_a_price_list_reaches_the_process_of_a_run_whole(name: str) -> None:
    (cell,) = compose_cells([f"pricing={name}"])
    values = json.loads(json.dumps(cell.config.to_dict()))
    assert ExperimentConfig.from_dict(values) == cell.config


@pytest.mark.parametrize("name", options("vm"))
def test_every_machine_has_a_source(name: str) -> None:
    (cell,) = compose_cells([f"vm={name}"])
    vm = price_book(cell.config).vm
    assert vm.name.replace(".", "-").replace("-", "_") == name
    assert vm.source
    assert (vm.quantum_s, vm.minimum_s) == (1.0, 60.0)


def test_the_default_rules_are_those_of_the_dataclass() -> None:
    (cell,) = compose_cells([])
    assert price_book(cell.config).billing == Billing()


def test_a_run_that_cannot_be_priced_is_none_the_worse(make_experiment: Experiment) -> None:
    folder = make_experiment()
    for path in folder.glob("runs/openwhisk-0/invocations.jsonl"):
        path.write_text(re.sub(r'"memory_limit_bytes": \d+', '"memory_limit_bytes": null', path.read_text()))
    collect(folder)
    (cell,) = compose_cells([])
    (said,) = price_folder(folder, cell.config)
    assert said.startswith("not priced: the memory of some functions")


def test_the_worked_example_of_the_document_holds() -> None:
    result = doctest.testfile(str(CONFIGS.parent / "docs" / "cost.md"), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0


def test_the_document_names_every_price_list_and_column() -> None:
    text = (CONFIGS.parent / "docs" / "cost.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in (*options("pricing"), *options("vm")))
    assert all(f"`{name}`" in text for name in COLUMNS)
