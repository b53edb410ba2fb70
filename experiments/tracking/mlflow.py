"""MLflow: on the server or in the database that its own variable ``MLFLOW_TRACKING_URI`` names."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.config.plan import RunPlan
from experiments.tracking.trackers import parameters
from machine.files import write_whole

# MLflow's own wait for minutes and try again seven times; a run waits for them between its rounds
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_ALLOW_HTTP_REDIRECTS", "false")  # they would take its credentials along

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

KEPT = "mlflow.run"  # in the run's folder: the id there


class RunTracker:
    """One run of MLflow; a resumed run is continued under the same id."""

    def __init__(self, plan: RunPlan) -> None:
        self._client = MlflowClient()
        self._step = 0
        kept = plan.directory / KEPT
        if kept.exists():
            self._id = kept.read_text(encoding="utf-8")
            self._client.update_run(self._id, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(plan.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(plan.experiment)
        self._id = self._client.create_run(experiment, run_name=plan.run_id).info.run_id
        write_whole(kept, self._id.encode())
        self._client.log_batch(self._id, params=[Param(name, value) for name, value in parameters(plan).items()])

    def round(self, server_round: int, values: dict[str, float]) -> None:
        """Write a round, in one request."""
        self._step = server_round
        self._write(values)

    def end(self, values: dict[str, float], *, succeeded: bool) -> None:
        """Write what the run measured, and how it ended."""
        self._write({f"run_{name}": value for name, value in values.items()})
        self._client.set_terminated(self._id, "FINISHED" if succeeded else "FAILED")

    def attach(self, files: Sequence[Path]) -> None:
        """Keep the files as artefacts of the run."""
        for path in files:
            self._client.log_artifact(self._id, str(path), "figures" if path.suffix == ".png" else None)

    def _write(self, values: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._id, metrics=[Metric(name, value, now, self._step) for name, value in values.items()]
        )
