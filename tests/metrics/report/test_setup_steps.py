"""The set-up steps in the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from metrics.collect.setup_steps import read_steps
from metrics.collect.tables import load
from metrics.report.setup_steps import REST, setup_steps

Experiment = Callable[..., Path]


def record(folder: Path, run_id: str, **steps: float) -> None:
    lines = [json.dumps({"run_id": run_id, "step": step, "seconds": seconds}) for step, seconds in steps.items()]
    (folder / "runs" / run_id / "setup.jsonl").write_text("\n".join(lines) + "\n")


def test_steps_are_medians_by_system_and_the_rest_is_shown(make_experiment: Experiment) -> None:
    folder = make_experiment(seeds=(0, 1, 2), setup_s=5.0)
    for seed, seconds in enumerate((1.0, 2.0, 4.0)):
        record(folder, f"inprocess-{seed}", load=seconds, start=0.5)
    record(folder, "flower-0", load=1.0, wait=3.5)
    table = setup_steps(folder, load(folder)["runs"])
    assert table is not None
    assert table.header == ("set-up step", "inprocess", "flower", "openwhisk (emulated)")
    assert table.rows == [
        ("load", "2.00 s", "1.00 s", "–"),
        ("start", "0.50 s", "–", "–"),
        ("wait", "–", "3.50 s", "–"),
        (REST, "2.50 s", "0.50 s", "–"),
    ]


def test_unfinished_runs_have_no_part_in_it(make_experiment: Experiment) -> None:
    folder = make_experiment(status="failed")
    record(folder, "inprocess-0", load=1.0)
    assert setup_steps(folder, load(folder)["runs"]) is None


def test_steps_of_a_resumed_run_add_up_and_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "setup.jsonl"
    lines = [json.dumps({"run_id": "r", "step": step, "seconds": 1.5}) for step in ("load", "start", "load")]
    path.write_text("\n".join(lines) + '\n{"run_id": "r", "st')
    assert read_steps(tmp_path) == {"load": 3.0, "start": 1.5}
    assert read_steps(tmp_path / "none") == {}
