"""Real kills in the middle of real runs: started again, they end as if nothing had happened."""

import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from experiments.config.schema import CONFIGS
from metrics.collect.tables import load

pytestmark = pytest.mark.usefixtures("nothing_survives")

# Optimizer states that are kept, and clients that do not take part in every round: both must be restored.
JOB = ("clients=5", "clients_per_round=3", "optimizer_state=keep", "seeds=[3]")
SWEPT = 40  # rounds of a cell that is killed in its third
IN_TENSORFLOW, SMALL = ("model=nn", "batch_size=500", "optimizer=adam"), ("model=mlp50", "batch_size=20")
IN_NUMPY = (*SMALL, "optimizer=adam")
# The state of a strategy must be restored with the global weights, and clients' control variates with it.
FEDYOGI, SCAFFOLD = (*IN_NUMPY, "strategy=fedyogi"), (*SMALL, "strategy=scaffold", "optimizer=sgd")


def kill_the_command(process, child_of):
    process.kill()


def kill_the_run(process, child_of):
    child_of(process).kill()


def press_ctrl_c(process, child_of):
    process.send_signal(signal.SIGINT)


def learnt(tables):
    """Return what must not depend on kills: the rounds, and the last weights."""
    rounds = tables["rounds"].sort_values("server_round")
    columns = ["server_round", "weights_sha256", "test_accuracy", "test_loss", "updates", "num_examples"]
    return rounds[columns].values.tolist(), tables["runs"].final_weights_sha256.tolist()


def assert_nothing_is_lost_or_doubled(tables, rounds):
    assert tables["rounds"].server_round.tolist() == list(range(1, rounds + 1))
    calls = tables["invocations"]
    counted = calls[(calls.status == "success") & (calls.function == "client")]
    assert not counted.duplicated(["server_round", "client_id"]).any()
    assert counted.groupby("server_round").size().tolist() == tables["rounds"].updates.tolist()
    assert not calls.duplicated(["server_round", "part", "function", "client_id", "attempt"]).any()
    parts = tables["rounds"].set_index("server_round").part
    assert (counted.part == counted.server_round.map(parts)).all()


@pytest.mark.parametrize(
    ("cut_off", "model"),
    [
        (kill_the_command, IN_NUMPY),
        (kill_the_command, SCAFFOLD),
        pytest.param(kill_the_run, FEDYOGI, marks=pytest.mark.exhaustive),
        pytest.param(kill_the_run, IN_TENSORFLOW, marks=pytest.mark.exhaustive),
        pytest.param(press_ctrl_c, IN_NUMPY, marks=pytest.mark.exhaustive),
    ],
)
def test_the_bare_loop_goes_on_after_its_last_whole_round(
    start, run, unbroken, wait_for_rounds, child_of, tmp_path, nothing_survives, cut_off, model
):
    words = (*JOB, *model, "rounds=14")
    expected = unbroken(*words)

    whole = []
    for count in (2, 5):
        process = start(*words, "out=broken")
        folder = wait_for_rounds(tmp_path / "broken", count, process)
        cut_off(process, child_of)
        process.wait(timeout=60)
        nothing_survives()
        whole.append((folder / "rounds.jsonl").read_text().count("\n"))
    assert 2 <= whole[0] < whole[1] < 14
    code, said = run(*words, "out=broken")

    assert code == 0, said
    assert f"goes on after round {whole[1]}" in said
    broken = load(tmp_path / "broken")
    assert learnt(broken) == learnt(expected)
    assert_nothing_is_lost_or_doubled(broken, 14)
    assert broken["rounds"].part.value_counts().to_dict() == {0: whole[0], 1: whole[1] - whole[0], 2: 14 - whole[1]}
    (row,) = broken["runs"].to_dict("records")
    assert (row["status"], row["resumes"], row["rounds"]) == ("success", 2, 14)
    assert row["setup_s"] > expected["runs"].setup_s[0]  # three starts
    assert row["setup_s"] + row["learning_s"] + row["teardown_s"] <= row["wall_s"] + 1e-6
    if cut_off is kill_the_command:
        assert broken["runs"].cpu_s.isna().all()  # nobody was left to account for it
    else:
        assert row["cpu_s"] > expected["runs"].cpu_s[0]
    assert not (folder / "checkpoint").exists()  # it has done its duty
    assert not (tmp_path / "broken" / "earlier").exists()


@pytest.mark.server
@pytest.mark.parametrize(
    ("backend", "model"),
    [
        ("openwhisk", IN_NUMPY),
        ("openwhisk", FEDYOGI),
        pytest.param("openwhisk", SCAFFOLD, marks=pytest.mark.exhaustive),
        pytest.param("flower", SCAFFOLD, marks=pytest.mark.exhaustive),
        pytest.param("openwhisk", IN_TENSORFLOW, marks=pytest.mark.exhaustive),
        pytest.param("flower", IN_TENSORFLOW, marks=pytest.mark.exhaustive),
    ],
)
def test_other_backends_go_on_too(start, run, unbroken, wait_for_rounds, tmp_path, nothing_survives, backend, model):
    words = (*JOB, *model, "rounds=5")
    expected = unbroken(*words)

    process = start(*words, "out=broken", f"backends=[{backend}]")
    wait_for_rounds(tmp_path / "broken", 2, process)
    process.kill()
    process.wait()
    nothing_survives()
    code, said = run(*words, "out=broken", f"backends=[{backend}]")

    assert code == 0, said
    assert "goes on after round" in said
    broken = load(tmp_path / "broken")
    assert learnt(broken) == learnt(expected)
    assert_nothing_is_lost_or_doubled(broken, 5)
    assert broken["runs"].resumes.tolist() == [1]
    assert set(broken["rounds"].part) == {0, 1}


def test_rerun_starts_a_broken_run_afresh(start, run, wait_for_rounds, tmp_path):
    words = (*JOB, *IN_NUMPY, "rounds=14", "out=broken")
    process = start(*words)
    wait_for_rounds(tmp_path / "broken", 2, process)
    process.kill()
    process.wait()
    assert run(*words, "rerun=true")[0] == 0
    assert load(tmp_path / "broken")["runs"].resumes.tolist() == [0]
    assert len(list((tmp_path / "broken" / "earlier").iterdir())) == 1


def status(folder):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.status", str(folder)],
        cwd=CONFIGS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_killed_sweep_goes_on_and_its_tables_hold_every_cell(
    start, run, unbroken, wait_for_rounds, child_of, tmp_path
):
    words = ("-m", "clients_per_round=1,2", f"rounds={SWEPT}")
    expected = unbroken(*words)
    first, second = (tmp_path / "broken" / f"clients_per_round={count}" for count in (1, 2))

    process = start(*words, "out=broken")
    wait_for_rounds(second, 2, process)
    child = child_of(process)
    child.suspend()  # its rounds wait for us to look
    during = status(tmp_path / "broken")
    process.kill()
    process.wait()
    with suppress(psutil.Error):
        child.resume()
    after = status(tmp_path / "broken")
    kept = {path: path.read_bytes() for path in first.glob("runs/*/r*.jsonl")}
    code, said = run(*words, "out=broken")

    assert code == 0, said
    assert "1 of 2 cells done, 1 running" in during
    assert "until" in during
    assert "1 of 2 cells done, 1 interrupted" in after
    assert "To go on: python -m experiments.run +exp=smoke" in after
    assert "2 of 2 cells done" in status(tmp_path / "broken")
    assert {path: path.read_bytes() for path in first.glob("runs/*/r*.jsonl")} == kept
    broken = load(tmp_path / "broken")
    keys = ["run_id", "final_weights_sha256"]
    assert broken["runs"][keys].sort_values("run_id").values.tolist() == (
        expected["runs"][keys].sort_values("run_id").values.tolist()
    )
    assert sorted(broken["runs"].resumes) == [0, 1]
    assert not broken["rounds"].duplicated(["run_id", "server_round"]).any()
    assert len(broken["rounds"]) == 2 * SWEPT
    assert (tmp_path / "broken" / "report.md").exists()


def test_a_cell_that_fails_is_told_at_the_end_and_tried_again_the_next_time(run, tmp_path):
    words = ("-m", "clients_per_round=1,2", "rounds=1", "out=swept")
    out = tmp_path / "swept"
    out.mkdir()
    (out / "clients_per_round=1").touch()  # where a folder must go
    code, said = run(*words)
    assert code == 1
    summary = said[said.index("1 of 2 succeeded") :]
    assert "FAILED  swept/clients_per_round=1" in summary
    assert "the folder cannot be made" in summary
    assert load(out)["runs"].status.tolist() == ["success"]

    (out / "clients_per_round=1").unlink()
    code, said = run(*words)
    assert code == 0
    assert "kept as it finished" in said
    assert load(out)["runs"].clients_per_round.tolist() == [1, 2]


def test_a_cell_whose_file_is_damaged_names_it_and_the_others_go_on(run, tmp_path):
    words = ("-m", "clients_per_round=1,2", "rounds=1", "out=swept")
    assert run(*words)[0] == 0
    broken = tmp_path / "swept" / "clients_per_round=1"
    (run_file,) = broken.glob("runs/*/run.json")
    (run_file.parent / "runs.jsonl").unlink()
    run_file.write_text("{}")
    code, said = run(*words)
    assert code == 1
    summary = said[said.index("1 of 2 succeeded") :]
    assert "Traceback" not in said
    assert "run.json is damaged" in summary
