"""Runs in TensorBoard and MLflow, as their own readers see them; and a tracker that is away costs a note."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.tracking.trackers import Trackers

pytestmark = pytest.mark.slow


@pytest.fixture
def tracked(smoke_plan, row_makers):
    """Track a run of two rounds, the second in a part of its own, as after a kill."""
    smoke_plan.directory.mkdir(parents=True)
    rounds = [row_makers["rounds"](smoke_plan.run_id, number) for number in (1, 2)]

    def track(name, notes):
        for row in rounds:
            trackers = Trackers([name], notes.append)
            trackers.started(smoke_plan)
            trackers.heard(smoke_plan, row)
        trackers.ended(smoke_plan, row_makers["runs"](smoke_plan.run_id, rounds))
        out = smoke_plan.directory.parent.parent
        (out / "report.html").write_text("report")
        trackers.attach(out)
        return smoke_plan, rounds

    return track


@pytest.mark.training  # the reader imports TensorFlow where there is one
def test_tensorboards_reader_sees_rounds_of_all_parts(tracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    notes = []
    plan, rounds = tracked("tensorboard", notes)
    assert notes == []
    seen = EventAccumulator(str(plan.directory / "tensorboard")).Reload()
    found = [(event.step, round(event.value, 4)) for event in seen.Scalars("round/test_accuracy")]
    assert found == [(row.server_round, round(row.test_accuracy, 4)) for row in rounds]
    assert seen.Scalars("run/wall_s")[0].value == 60.0
    assert "parameters/text_summary" in seen.Tags()["tensors"]


def test_mlflow_has_one_run_for_a_run_that_was_resumed(tracked, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)  # where MLflow keeps artefacts
    notes = []
    plan, rounds = tracked("mlflow", notes)
    assert notes == []
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("smoke").experiment_id])
    assert run.info.run_name == plan.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params["clients_per_round"] == "2"
    measured = [(row.server_round, row.test_accuracy) for row in rounds]
    history = client.get_metric_history(run.info.run_id, "test_accuracy")
    assert [(metric.step, metric.value) for metric in history] == measured
    assert [artefact.path for artefact in client.list_artifacts(run.info.run_id)] == ["report.html"]


def test_a_server_that_does_not_answer_costs_one_note_and_seconds(tracked, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    notes, began = [], time.monotonic()
    tracked("mlflow", notes)
    assert len(notes) == 2  # one for each part of the run
    assert all(note.startswith("tracking: mlflow gets no more of this experiment: ") for note in notes)
    assert all("Connection refused" in note for note in notes)  # the cause, which stands last
    assert time.monotonic() - began < 60


def test_a_package_that_is_missing_costs_a_note(tracked, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "experiments.tracking.tensorboard", raising=False)
    notes = []
    plan, _ = tracked("tensorboard", notes)
    assert "tensorboardX" in notes[0]
    assert list(plan.directory.iterdir()) == []


def test_another_name_is_refused_before_any_work(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"tracking=.*mlflow, tensorboard"):
        compose_cells(["+exp=smoke", "tracking=[wandb]"])
