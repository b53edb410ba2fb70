"""The plan of a run, for the Flower app in its other processes: a file, or Flower's run configuration."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import Context

from task.data import DataSettings
from task.job import FederatedJob, PartitionSpec

if TYPE_CHECKING:  # a client's process reads a plan, and must not import the tables
    from baselines.flower.settings import FlowerSettings
    from metrics.collect.recorder import Recorder

FINAL_WEIGHTS = "final.safetensors"
ERROR = "flower_error.txt"
SERVING = "flower_serving"  # contains the process id of the ServerApp, and is there while it runs


@dataclass(frozen=True)
class Plan:
    """One run of the Flower app.

    Parameters
    ----------
    job
        What is learnt.
    data
        Where the images are.
    run_id, directory, watcher, part
        Of the run's :class:`metrics.collect.recorder.Recorder`. The final weights are left in ``directory``, too.
    startup_timeout_s, round_timeout_s
        As in :class:`baselines.flower.settings.FlowerSettings`.
    """

    job: FederatedJob
    data: DataSettings
    run_id: str
    directory: Path
    watcher: str | None
    startup_timeout_s: float
    round_timeout_s: float
    part: int = 0

    @classmethod
    def of(cls, job: FederatedJob, settings: FlowerSettings, recorder: Recorder) -> Plan:
        """Return the plan of a run of the harness; its paths are absolute, Flower's processes work elsewhere."""
        data = settings.data
        return cls(
            job=job,
            data=DataSettings(data.cache.absolute(), data.path.absolute() if data.path else None),
            run_id=recorder.run_id,
            directory=recorder.directory.absolute(),
            watcher=str(Path(recorder.watcher).absolute()) if recorder.watcher else None,
            startup_timeout_s=settings.startup_timeout_s,
            round_timeout_s=settings.round_timeout_s,
            part=recorder.part,
        )

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        values = {**asdict(self), "job": self.job.to_dict()}
        path.write_text(json.dumps(values, default=str, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read what :meth:`write` wrote.

        Raises
        ------
        TypeError
            If a key is missing or unknown.
        """
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        images = {name: Path(where) for name, where in values["data"].items() if where is not None}
        return cls(
            **{
                **values,
                "job": FederatedJob.from_dict(values["job"]),
                "data": DataSettings(**images),
                "directory": Path(values["directory"]),
            }
        )


def plan_of(context: Context) -> Plan:
    """Return the plan that the run's configuration names or, for a ``flwr run`` by hand, spells out."""
    path = context.run_config["plan"]
    return _read(Path(str(path))) if path else _by_hand(dict(context.run_config), context.run_id)


_read = cache(Plan.read)


def _by_hand(values: dict[str, Any], run_id: int) -> Plan:
    target = values["target-accuracy"]
    job = FederatedJob(
        model=values["model"],
        optimizer=values["optimizer"],
        learning_rate=values["learning-rate"],
        batch_size=values["batch-size"],
        local_epochs=values["local-epochs"],
        clients=values["clients"],
        clients_per_round=values["clients-per-round"],
        rounds=values["rounds"],
        target_accuracy=target if target > 0 else None,
        optimizer_state=values["optimizer-state"],
        partition=PartitionSpec(values["partition"], values["shards-per-client"], values["alpha"]),
        seed=values["seed"],
    )
    return Plan(
        job=job,
        data=DataSettings(cache=Path(values["data-cache"]).expanduser()),
        run_id=str(run_id),
        directory=Path(values["out"]).expanduser().absolute() / str(run_id),
        watcher=None,
        startup_timeout_s=values["startup-timeout"],
        round_timeout_s=values["round-timeout"],
    )
