"""The command that draws figures: what it makes, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.figures import main
from metrics.plots import FIGURES
from metrics.tables import collect


def test_all_figures_are_drawn_and_named(
    make_experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment()
    assert main([str(folder), "figure=all"]) == 0
    expected = {folder / "figures" / f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "pdf", "csv")}
    assert {Path(line) for line in capsys.readouterr().out.splitlines()} == expected
    assert all(path.stat().st_size > 0 for path in expected)


def test_figures_can_be_asked_for_by_name(make_experiment: Callable[..., Path]) -> None:
    folder = make_experiment()
    assert main(["figure=accuracy", str(folder), "figure=cold_starts"]) == 0
    assert {path.stem for path in (folder / "figures").iterdir()} == {"accuracy", "cold_starts"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name one folder of results, not 0"),
        (["{folder}", "another"], "name one folder of results, not 2"),
        (["no/such/folder"], "there is no folder no/such/folder"),
        (["{folder}", "figure=acuracy"], "allowed are accuracy, all, cold_starts, cpu_memory, time_per_round"),
        (["{folder}", "figure=acuracy"], "did you mean 'accuracy'?"),
        (["{folder}", "fig=all"], "allowed are figure"),
        (["{empty}"], "holds no runs.parquet"),
    ],
)
def test_a_wrong_command_line_is_explained(
    arguments: list[str],
    said: str,
    make_experiment: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_experiment()
    (tmp_path / "empty").mkdir()
    assert main([argument.format(folder=folder, empty=tmp_path / "empty") for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("error: ")
    assert printed.out == ""


def test_a_figure_without_data_is_an_error_by_name_and_left_out_of_all(
    make_experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment()
    for path in folder.glob("runs/*/samples.jsonl"):
        path.unlink()
    collect(folder)
    assert main([str(folder), "figure=cpu_memory"]) == 2
    assert "cpu_memory: no finished run has samples" in capsys.readouterr().err
    assert main([str(folder)]) == 0
    assert "cpu_memory" not in capsys.readouterr().out


def test_an_experiment_without_rounds_says_why_nothing_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collect(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert "accuracy: no run has finished a round." in capsys.readouterr().err


def test_figures_need_neither_tensorflow_nor_a_backend(make_experiment: Callable[..., Path]) -> None:
    script = (
        "import sys; from experiments.figures import main; code = main(sys.argv[1:]);"
        "heavy = {'tensorflow', 'keras', 'flwr', 'ray', 'hydra', 'task', 'baselines', 'serverless'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(make_experiment())], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
