"""The notebooks run from beginning to end on the small experiment that is kept beside them, and say what they found."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from metrics.collect.tables import load

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SMOKE = NOTEBOOKS / "data" / "smoke"


def execute(name: str) -> dict[str, Any]:
    return runpy.run_path(str(NOTEBOOKS / f"{name}.py"))


@pytest.fixture(autouse=True)
def on_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever folder the reader has named, and from wherever it is run."""
    monkeypatch.delenv("RESULTS", raising=False)
    monkeypatch.setenv("FIGURES", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_the_kept_tables_are_small_and_of_all_three_systems() -> None:
    runs = load(SMOKE)["runs"]
    assert set(runs["backend"]) == {"inprocess", "flower", "openwhisk"}
    assert set(runs["status"]) == {"success"}
    assert sum(path.stat().st_size for path in SMOKE.iterdir()) < 150_000


def test_reading_the_results(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = execute("reading_the_results")
    printed = capsys.readouterr().out
    assert "identical weights on inprocess, flower and openwhisk (emulated)" in printed
    assert "n too small for a test" in printed
    assert "skipped fig4: no run has the published setting" in printed
    assert {path.stem for path in tmp_path.glob("*.png")} == {"accuracy", "time_per_round", "fig5", "kpis"}
    assert found["phases"].drop(columns=["system", "round_s"]).sum(axis="columns").to_list() == pytest.approx(
        found["phases"]["round_s"].to_list()
    )


def test_cost_what_if(capsys: pytest.CaptureFixture[str]) -> None:
    found = execute("cost_what_if")
    assert list(found["by_provider"].index) == ["aws_lambda_x86", "google_cloud_run"]
    assert (found["by_provider"] != "").all(axis=None)
    assert list(found["by_memory"].index.dropna()) == [1024, 2048]
    assert set(found["by_policy"].index.dropna()) == {"per_client", "per_selected", "packed"}
    assert len(found["crossing"]) == 2 * 3  # systems on machines, policies
    assert found["crossing"]["busy_share"].notna().all()
    assert "busy_share" in capsys.readouterr().out
