"""The command that draws figures: what it makes, and what it says when it cannot."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.figures import main
from metrics.collect.tables import collect
from metrics.plots import FIGURES

pytestmark = pytest.mark.slow

KEPT = [
    pytest.param(folder, id=folder.name, marks=() if folder.name == "quickstart" else pytest.mark.exhaustive)
    for folder in sorted((Path(__file__).resolve().parents[2] / "results" / "evidence").iterdir())
]


def test_every_figure_is_drawn_and_named_or_skipped_with_a_reason(
    make_experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment()
    assert main([str(folder), "figure=all"]) == 0
    printed = capsys.readouterr()
    files = [Path(line) for line in printed.out.splitlines()]
    assert all(path.stat().st_size > 0 for path in files)
    names = {path.stem for path in files}
    assert {path.name for path in files} == {f"{name}.{suffix}" for name in names for suffix in ("png", "csv")}
    assert {"accuracy", "time_per_round", "cpu_memory", "cold_starts", "fig5", "kpis"} <= names
    skipped = [line.removeprefix("skipped ").partition(": ") for line in printed.err.splitlines()]
    assert names.isdisjoint(name for name, _, _ in skipped)
    assert names | {name for name, _, _ in skipped} == set(FIGURES)
    assert {"fig3", "fig4", "rgg"} <= {name for name, _, _ in skipped}
    assert all(reason.startswith("no ") for _, _, reason in skipped)


def copy_with_other_ids(folder: Path, to: Path, **changes: object) -> Path:
    """Another experiment of the same rows."""
    for path in folder.glob("runs/*/*.jsonl"):
        directory = to / "runs" / f"{path.parent.name}-more"
        directory.mkdir(parents=True, exist_ok=True)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        changed = changes if path.stem == "runs" else {}
        lines = [json.dumps({**row, "run_id": directory.name, **changed}) for row in rows]
        (directory / path.name).write_text("\n".join(lines) + "\n")
    collect(to)
    return to


def test_several_folders_are_drawn_as_one_experiment(
    make_experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment(target_accuracy=0.9)
    more = copy_with_other_ids(folder, tmp_path / "more", clients_per_round=20, experiment="more")
    assert main([str(folder), str(more), "figure=fig3", "figure=rgg", f"out={tmp_path / 'both'}"]) == 0
    assert {path.stem for path in (tmp_path / "both" / "figures").iterdir()} == {"fig3", "rgg"}
    assert not (folder / "figures").exists()
    assert capsys.readouterr().err == ""


def test_folders_of_different_machines_are_refused_unless_one_says_so(
    make_experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment()
    more = copy_with_other_ids(folder, tmp_path / "more", cpu_model="Another CPU", clients_per_round=20)
    command = [str(folder), str(more), "figure=time_per_round", f"out={tmp_path / 'both'}"]
    assert main(command) == 2
    assert "cpu_model is An invented CPU, Another CPU" in capsys.readouterr().err
    assert main([*command, "mixed=true"]) == 0


def test_figures_can_be_asked_for_by_name(make_experiment: Callable[..., Path]) -> None:
    folder = make_experiment()
    assert main(["figure=accuracy", str(folder), "figure=cold_starts"]) == 0
    assert {path.stem for path in (folder / "figures").iterdir()} == {"accuracy", "cold_starts"}


def test_pictures_have_the_formats_that_were_asked_for(make_experiment: Callable[..., Path]) -> None:
    folder = make_experiment()
    assert main([str(folder), "figure=accuracy", "formats=svg,pdf"]) == 0
    assert {path.name for path in (folder / "figures").iterdir()} == {"accuracy.svg", "accuracy.pdf", "accuracy.csv"}


@pytest.mark.parametrize(("room_bytes", "suffix"), [(300, "csv"), (3000, "png"), (3000, "svg"), (3000, "pdf")])
def test_a_figure_that_cannot_be_written_whole_leaves_the_one_before(
    room_bytes: int, suffix: str, make_experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_experiment()
    command = [str(folder), "figure=accuracy", f"formats={suffix if suffix != 'csv' else 'png'}"]
    assert main(command) == 0
    before = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
    try:
        assert main(command) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"figures/accuracy.{suffix}: File too large" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a folder of results"),
        (["{folder}", "another"], "there is no folder another"),
        (["no/such/folder"], "there is no folder no/such/folder"),
        (["{folder}", "{empty}"], "say where the figures of 2 folders go: out=DIR"),
        (["{folder}", "mixed=yes"], "allowed are false, true"),
        (["{folder}", "figure=acuracy"], f"allowed are {', '.join(sorted([*FIGURES, 'all']))}"),
        (["{folder}", "figure=acuracy"], "did you mean 'accuracy'?"),
        (["{folder}", "fig=all"], "allowed are figure, formats, mixed, out"),
        (["{folder}", "formats=png,jpg"], "allowed are pdf, png, svg"),
        (["{folder}", "formats="], "allowed are pdf, png, svg"),
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
    make_experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: FIGURES[name] for name in ("accuracy", "cpu_memory")}  # "all" takes seconds
    monkeypatch.setattr("metrics.plots.draw.FIGURES", few)
    folder = make_experiment()
    for path in folder.glob("runs/*/samples.jsonl"):
        path.unlink()
    collect(folder)
    assert main([str(folder), "figure=cpu_memory"]) == 2
    assert "cpu_memory: no finished run has samples" in capsys.readouterr().err
    assert main([str(folder)]) == 0
    printed = capsys.readouterr()
    assert "accuracy.png" in printed.out
    assert "cpu_memory" not in printed.out


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


@pytest.mark.parametrize("folder", KEPT)
def test_kept_results_are_still_drawn_whatever_columns_came_later(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "figure=all", f"out={tmp_path}"]) == 0
    drawn = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert {path.name for path in (folder / "figures").iterdir()} <= drawn
