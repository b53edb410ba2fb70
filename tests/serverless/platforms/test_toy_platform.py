"""A platform that lives outside the package: one entry point, and every part of the harness knows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.config.compose import compose_cells
from experiments.config.plan import run_id
from metrics.analysis.checks.consistency import check
from metrics.analysis.labels import label_runs
from metrics.collect.tables import load
from serverless.platforms.registry import ENTRY_POINTS

ROOT = Path(__file__).parents[3]
ENTRY = "toy = tests.support.toy_platform:DESCRIPTOR"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Call a program for which the toy is installed: a package's metadata are a folder on the path of imports."""
    site = tmp_path_factory.mktemp("site")
    metadata = site / "toy_platform-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-platform\nVersion: 1.0\n", encoding="utf-8")

    def program(*words, entry=ENTRY):
        (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{entry}\n", encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (site, ROOT)))}
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=300
        )

    return program


@pytest.mark.training
def test_a_smoke_experiment_on_the_toy_learns_the_same_and_is_priced_and_reported(run, tmp_path):
    out = tmp_path / "toy"
    smoke = ("+exp=smoke", "model=mlp50", "rounds=1", "platform=toy", "backends=[inprocess,toy]", "figures=false")
    ended = run("-m", "experiments.run", *smoke, "platform.latency_s=0.02", f"out={out}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tables = load(out)
    bare, toy = tables["runs"].sort_values("backend").to_dict("records")
    assert (toy["backend"], toy["platform"], toy["emulated"]) == ("toy", "toy", True)
    assert toy["final_weights_sha256"] == bare["final_weights_sha256"]
    assert '"latency_s": 0.02' in toy["config"]
    calls = tables["invocations"][tables["invocations"]["platform"] == "toy"]
    assert sorted(calls["function"]) == ["aggregator", "client", "client"]
    assert (calls["provider_s"] >= 0.02).all()
    assert check(tables) == []
    assert list(label_runs(tables["runs"])["system"]) == ["inprocess", "toy (emulated)"]
    cost = tables["cost"][tables["cost"]["run_id"] == toy["run_id"]]
    assert (cost.loc[cost["item"] == "functions", "usd"] > 0).any()
    assert "toy (emulated)" in (out / "report.md").read_text(encoding="utf-8")
    assert (out / "runs" / toy["run_id"] / "emulator.log").read_text(encoding="utf-8") == "a toy platform\n"


COMPOSE = """
import json, sys
from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.overrides import keys
from experiments.config.plan import run_id

def said(words):
    try:
        (cell,) = compose_cells(["+exp=quickstart", "model=mlp50", "workers=2", *words])
    except ConfigError as error:
        return " ".join(error.problems)
    return run_id(cell.config, cell.config.backends[0], 0)

print(json.dumps([list(keys()), *map(said, json.loads(sys.argv[1]))]))
"""


def test_its_own_key_is_checked_like_any_other_and_changes_no_other_platforms_runs(run):
    toy = ["platform=toy", "backends=[toy]"]
    cases = {
        (*toy, "platform.latency_s=0"): "platform.latency_s=0.0: must be more than 0",
        (*toy, "platform.latency_s=null"): "platform.latency_s=null: is needed",
        (*toy, "platform.namespace=x"): "is for platform=openwhisk; here platform.name=toy",
        ("backends=[openwhisk]", "platform.latency_s=1"): "is for platform=toy; here platform.name=openwhisk",
        (*toy, "topology=fedkeeper"): "functions can invoke others, not toy",
        (*toy, "platform=to"): ", toy",
        ("model=nn", "backends=[openwhisk]"): "openwhisk-s0-6f46fe69",
        ("backends=[openwhisk]",): without_the_toy("backends=[openwhisk]"),
    }
    ended = run("-c", COMPOSE, json.dumps([list(words) for words in cases]))
    assert ended.returncode == 0, ended.stderr
    keys, *said = json.loads(ended.stdout)
    assert "platform.latency_s" in keys
    for found, expected in zip(said, cases.values(), strict=True):
        assert expected in found


def without_the_toy(*words):
    (cell,) = compose_cells(["+exp=quickstart", "model=mlp50", "workers=2", *words])
    return run_id(cell.config, cell.config.backends[0], 0)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("toy = tests.support.toy_platform:Toy", "not a PlatformDescriptor"),
        ("again = tests.support.toy_platform:NAMED_LIKE_ANOTHER", "two platforms have the name 'openwhisk'"),
        ("toy = tests.support.toy_platform:OTHER_TYPE", "a key 'namespace' of another type"),
    ],
)
def test_a_descriptor_that_cannot_stand_beside_the_others_is_an_error(run, entry, told):
    ended = run("-c", "from serverless.platforms.registry import platforms; platforms()", entry=entry)
    assert ended.returncode == 1
    assert told in ended.stderr
