import subprocess
import sys
from dataclasses import replace

import pytest

from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.plan import plan_runs
from experiments.runs.results_folder import arrange, finished_row, locked, make_room
from experiments.runs.run_files import Identity, RunFile
from metrics.collect.provenance import collect_provenance
from metrics.collect.row_files import append


@pytest.fixture
def plan_of(tmp_path, row_makers):
    """Leave a run of a configuration in the folder, finished unless told otherwise; return its plan."""

    def make(*words, status="success", rounds=2):
        (cell,) = compose_cells(["+exp=smoke", *words])
        (plan,) = plan_runs(cell.config, tmp_path)
        plan.directory.mkdir(parents=True)
        run = RunFile.of(plan, Identity("d", "e", "f"), collect_provenance(tmp_path), "nowhere")
        replace(run, started_at=1000.0).write(plan.directory)
        rows = [row_makers["rounds"](plan.run_id, number + 1) for number in range(rounds)]
        append(plan.directory, *rows)
        if status is not None:
            append(plan.directory, row_makers["runs"](plan.run_id, rows, status=status))
        return plan

    return make


def config(*words):
    (cell,) = compose_cells(["+exp=smoke", *words])
    return cell.config


def test_runs_of_another_configuration_are_set_aside_and_come_back_with_it(tmp_path, plan_of):
    old, new = plan_of("rounds=2"), plan_of("rounds=3")
    (note,) = arrange(tmp_path, config("rounds=3"))
    assert old.run_id in note
    assert (tmp_path / "earlier" / old.run_id / "rounds.jsonl").exists()
    assert new.directory.exists()
    notes = arrange(tmp_path, config("rounds=2"))
    assert len(notes) == 2
    assert old.directory.exists()
    assert (tmp_path / "earlier" / new.run_id).exists()


def test_other_seeds_and_backends_of_the_configuration_stay(tmp_path, plan_of):
    plans = [plan_of("seeds=[1]"), plan_of("backends=[flower]")]
    assert arrange(tmp_path, config()) == []
    assert all(plan.directory.exists() for plan in plans)


def test_a_run_that_nobody_saw_end_counts_as_interrupted_with_its_rounds(tmp_path, plan_of):
    plan = plan_of(status=None)
    assert finished_row(plan.directory) is None
    arrange(tmp_path, config())
    row = finished_row(plan.directory)
    assert (row.status, row.rounds, row.cpu_s, row.run_id) == ("interrupted", 2, None, plan.run_id)
    assert row.learning_s == pytest.approx(2 * 3.05)


def test_room_is_made_by_setting_aside_what_is_never_deleted(tmp_path, plan_of):
    plan = plan_of(status="failed")
    assert "failed after 2 rounds" in make_room(plan)
    assert list(plan.directory.iterdir()) == []
    (plan.directory / "note").touch()
    make_room(plan)
    earlier = tmp_path / "earlier"
    assert sorted(path.name for path in earlier.iterdir()) == [plan.run_id, f"{plan.run_id}.1"]
    assert (earlier / plan.run_id / "rounds.jsonl").exists()


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    assert arrange(tmp_path, config()) == []
    assert (tmp_path / "runs" / "mine").exists()


HOLD = "import sys, time; from pathlib import Path; from experiments.runs.results_folder import locked\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_two_experiments_cannot_share_a_folder_and_a_killed_one_lets_go(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="another experiment is running"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"), locked(tmp_path / name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
