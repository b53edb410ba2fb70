"""How far a sweep is, read from its files alone."""

import io
import os
from dataclasses import replace

import pytest
from rich.console import Console

from experiments.config.compose import compose_cells
from experiments.config.plan import plan_runs
from experiments.runs.results_folder import locked
from experiments.runs.run_files import Identity, RunFile
from experiments.runs.sweep_file import Ledger
from experiments.runs.sweep_status import stand, status_of
from experiments.status import main, show
from metrics.collect.provenance import collect_provenance
from metrics.collect.row_files import append


@pytest.fixture
def sweep(tmp_path, row_makers):
    """A grid of six cells with two seeds; return its folder, and a way to leave rounds of a run in it."""
    words = ["+exp=smoke", "clients_per_round=10,20,30", "optimizer=sgd,adam", "seeds=[0,1]", "rounds=10"]
    cells = compose_cells([*words, f"out={tmp_path / 'grid'}"], multirun=True)
    top = cells[0].top
    top.mkdir()
    Ledger.of(cells).write(top)
    provenance = collect_provenance(tmp_path)

    def leave(cell, seed, rounds, status=None, round_s=2.0, pid=None, **changes):
        plan = plan_runs(cells[cell].config, cells[cell].out)[seed]
        plan.directory.mkdir(parents=True)
        run = RunFile.of(plan, Identity("d", "e", "f"), provenance, "nowhere")
        replace(run, started_at=1000.0, watcher_pid=pid or os.getpid()).write(plan.directory)
        rows = [row_makers["rounds"](plan.run_id, number + 1, round_s=round_s) for number in range(rounds)]
        if rows:
            append(plan.directory, *rows)
        if status:
            took = {"learning_s": rounds * round_s, "wall_s": rounds * round_s + 5.0}
            append(plan.directory, row_makers["runs"](plan.run_id, rows, status=status, **took, **changes))

    return top, leave, [cell.out for cell in cells]


def told(top, width=80):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(top, stand(top), console)
    return console.file.getvalue()


def test_every_state_is_told_and_fits_a_terminal(sweep):
    top, leave, outs = sweep
    leave(0, 0, 10, "success")
    leave(0, 1, 10, "success")
    leave(1, 0, 3, "failed", error="RuntimeError: the disk is full\nTraceback", resumes=2)
    leave(1, 1, 10, "success")
    leave(2, 0, 4, "interrupted")
    leave(3, 0, 6)
    with locked(top, ""), locked(outs[3]):
        text = told(top)
    paths = (str(top), "  log: ")  # are not cut, so that they can be copied
    assert max(len(line) for line in text.splitlines() if not line.startswith(paths)) <= 80
    assert "1 of 6 cells done, 1 running, 1 failed, 1 interrupted, 2 waiting" in text
    assert "3 of 12 runs done, 1 running, 1 failed, 1 interrupted, 6 waiting" in text
    assert "clients_per_round" in text  # one column per key
    assert "failed after 3 of 10 rounds, resumed 2 times" in text
    assert "RuntimeError: the disk is full" in text
    assert "running after 6 of 10 rounds" in text
    assert "To go on" not in text


def test_a_run_without_a_row_runs_only_if_its_command_lives_and_holds_the_folder(sweep):
    top, leave, outs = sweep
    leave(0, 0, 2)
    assert stand(top).runs[0].status == "interrupted"
    with locked(top, ""), locked(outs[0]):
        assert stand(top).runs[0].status == "running"
    assert "To go on: python -m experiments.run" in told(top)


def test_what_is_left_is_estimated_by_passes_over_images_and_the_rounds_that_were_needed(sweep):
    """10 clients take 2 s a round: 20 take 4 s, 30 take 6 s. Half of the rounds were needed; a start takes 5 s."""
    top, leave, outs = sweep
    assert stand(top).left_s is None
    leave(0, 0, 5, "success")
    leave(0, 1, 5, "success")
    left = {10: 5 + 5 * 2, 20: 5 + 5 * 4, 30: 5 + 5 * 6}
    assert stand(top).left_s == pytest.approx(2 * left[10] + 4 * left[20] + 4 * left[30])
    leave(1, 0, 3)
    with locked(top, ""), locked(outs[1]):
        assert stand(top).left_s == pytest.approx(2 * 2 + left[10] + 4 * left[20] + 4 * left[30])


def test_a_failed_run_before_the_current_one_is_not_waited_for(sweep):
    top, leave, outs = sweep
    leave(0, 0, 5, "failed")
    leave(0, 1, 5, "success")
    leave(1, 0, 3)
    not_running = stand(top).left_s
    with locked(top, ""), locked(outs[1]):
        assert stand(top).left_s < not_running


def test_a_cell_is_done_when_all_its_runs_are(sweep):
    top, leave, _ = sweep
    leave(0, 0, 10, "success")
    (first, *_) = stand(top).cells.values()
    assert status_of(first) == "waiting"
    leave(0, 1, 10, "success")
    (first, *_) = stand(top).cells.values()
    assert status_of(first) == "done"


def test_an_experiment_that_is_no_sweep_has_a_standing_too(tmp_path, capsys):
    cells = compose_cells(["+exp=smoke", f"out={tmp_path}"])
    Ledger.of(cells).write(tmp_path)
    assert main([str(tmp_path)]) == 0
    assert "0 of 1 cells done, 1 waiting" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--help"]])
def test_the_command_says_how_it_is_used(words, capsys):
    assert main(words) == 2
    assert "usage:" in capsys.readouterr().err


def test_a_folder_without_a_command_is_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "no command has been run in" in capsys.readouterr().err
