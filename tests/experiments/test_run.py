"""The command line as people use it, on the smallest experiment with the real bare loop."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from experiments.runs.run_files import LOG
from metrics.collect.tables import load
from task import weights

pytestmark = pytest.mark.usefixtures("nothing_survives")


ENDLESS = ("rounds=5000", "seeds=[0,1]")


def test_a_run_from_the_command_line_to_its_tables(run, tmp_path):
    code, said = run("model=nn", "seeds=[3]", "workers=1", "figures=true")
    assert code == 0, said
    out = tmp_path / "results" / "smoke"
    tables = load(out)
    (row,) = tables["runs"].to_dict("records")
    assert (row["status"], row["backend"], row["seed"], row["rounds"]) == ("success", "inprocess", 3, 2)
    assert (row["workers"], row["emulated"], row["runtime"]) == (1, False, "pool")
    folder = out / "runs" / row["run_id"]
    final = weights.sha256(weights.loads((folder / "final.safetensors").read_bytes()))
    assert row["final_weights_sha256"] == final == tables["rounds"].weights_sha256.iloc[-1]
    assert row["setup_s"] + row["learning_s"] + row["teardown_s"] <= row["wall_s"] + 1e-6
    assert row["cpu_s"] > row["learning_s"] * 0.2
    assert row["peak_total_rss_bytes"] > 200 << 20  # TensorFlow is in it
    assert {"controller", "client"} <= set(tables["samples"].role)
    assert (out / "report.md").exists()
    assert (out / "figures" / "accuracy.png").exists()
    assert "round 2/2" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "said"]  # Hydra left nothing


def test_what_is_finished_is_kept_and_rerun_makes_it_again(run, tmp_path):
    run()
    (run_file,) = (tmp_path / "results" / "smoke" / "runs").glob("*/run.json")
    first = run_file.read_bytes()
    code, said = run()
    assert not (tmp_path / "results" / "smoke" / "figures").exists()
    assert (code, run_file.read_bytes()) == (0, first)
    assert "kept as it finished on" in said
    assert "rerun=true" in said
    assert run("rerun=true")[0] == 0
    assert run_file.read_bytes() != first
    assert len(load(tmp_path / "results" / "smoke")["runs"]) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_keeps_the_finished_rounds_and_leaves_no_process(
    start, wait_for_rounds, child_of, tmp_path, nothing_survives, number, code
):
    process = start(*ENDLESS)
    out = tmp_path / "results" / "smoke"
    wait_for_rounds(out, 3, process)
    run_process = child_of(process)
    # Ctrl-C at a terminal goes to a whole process group: it must reach the run through its watcher alone
    assert os.getsid(run_process.pid) == os.getpgid(run_process.pid) == run_process.pid
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    nothing_survives()
    tables = load(out)
    (row,) = tables["runs"].to_dict("records")  # the second seed was not begun
    assert row["status"] == "interrupted"
    assert len(tables["rounds"]) == row["rounds"] >= 3
    assert "stopped" in (tmp_path / "said").read_text()


def test_a_killed_run_fails_alone_and_the_next_one_goes_on(
    start, wait_for_rounds, child_of, tmp_path, nothing_survives
):
    process = start("seeds=[0,1]", "rounds=300")
    out = tmp_path / "results" / "smoke"
    folder = wait_for_rounds(out, 2, process)
    child_of(process).kill()
    assert process.wait(timeout=300) == 1
    nothing_survives()
    runs = load(out)["runs"].set_index("seed")
    assert dict(runs.status) == {0: "failed", 1: "success"}
    assert runs.rounds[0] >= 2
    said = (tmp_path / "said").read_text()
    assert "inprocess seed 0 failed" in said
    assert "SIGKILL" in said
    assert str(Path("results/smoke/runs") / folder.name / LOG) in said


def test_a_killed_parent_leaves_no_process_and_its_rounds_are_kept(
    start, run, wait_for_rounds, lines_of, tmp_path, nothing_survives
):
    process = start(*ENDLESS, "seeds=[0]")
    out = tmp_path / "results" / "smoke"
    folder = wait_for_rounds(out, 2, process)
    process.kill()
    process.wait()
    nothing_survives()
    kept = len(lines_of(folder / "rounds.jsonl"))
    assert kept >= 2
    assert run("rounds=1", "seeds=[0]")[0] == 0
    assert len(lines_of(out / "earlier" / folder.name / "rounds.jsonl")) == kept
    assert lines_of(out / "earlier" / folder.name / "runs.jsonl")[0]["status"] == "interrupted"


def test_a_sweep_goes_on_after_a_cell_that_fails_and_its_exit_code_says_so(run, tmp_path):
    """200 dealt by Dirichlet(0.001) leaves clients without an image: found when the data are there, not before."""
    code, said = run("-m", "partition=dirichlet", "partition.alpha=0.001,100", "clients_per_round=1", "rounds=1")
    assert code != 0
    cells = {path.name: path for path in (tmp_path / "results" / "smoke").iterdir() if path.is_dir()}
    assert "without an image" in said
    assert list(load(cells["partition.alpha=100"])["runs"].status) == ["success"]
    assert "1 of 2 succeeded" in said
    assert "FAILED  results/smoke/partition.alpha=0.001" in said


def test_a_failing_run_in_a_sweep_is_not_forgotten(start, wait_for_rounds, child_of, tmp_path):
    process = start("-m", "rounds=300,1", "seeds=[0]")
    out = tmp_path / "results" / "smoke"
    wait_for_rounds(out / "rounds=300", 1, process)
    child_of(process).kill()
    assert process.wait(timeout=300) == 1
    status = {name: load(out / name)["runs"].status.iloc[0] for name in ("rounds=300", "rounds=1")}
    assert status == {"rounds=300": "failed", "rounds=1": "success"}


def test_ctrl_c_ends_a_whole_sweep(start, wait_for_rounds, tmp_path):
    process = start("-m", "rounds=5000,4000")
    out = tmp_path / "results" / "smoke"
    wait_for_rounds(out / "rounds=5000", 1, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert not (out / "rounds=4000").exists()


def test_equal_seeds_learn_the_same_and_other_seeds_do_not(run, tmp_path):
    assert run("seeds=[0,1]", "rounds=1", "out=a")[0] == 0
    assert run("seeds=[0]", "rounds=1", "out=b", "workers=1")[0] == 0
    a, b = (pd.read_parquet(tmp_path / name / "runs.parquet").set_index("seed") for name in "ab")
    assert a.final_weights_sha256[0] == b.final_weights_sha256[0] != a.final_weights_sha256[1]
    assert a.partition_sha256[0] == b.partition_sha256[0] != a.partition_sha256[1]
    assert a.initial_weights_sha256[0] != a.initial_weights_sha256[1]


def test_flower_takes_any_folder_and_no_proxy_and_figures_no_backend_of_a_notebook(run, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("A_SECRET", "hunter2")
    out = tmp_path / "w😀 x"

    code, said = run("rounds=1", "clients=10", "backends=[flower]", "figures=true", f"out='{out}'")

    assert code == 0, said
    tables = load(out)
    assert list(tables["runs"].status) == ["success"]
    assert {"flower", "client", "ray", "controller"} <= set(tables["samples"].role)
    assert (out / "report.md").exists()
    assert (out / "figures" / "accuracy.png").exists()
