"""The files of one run, beside its tables: what it is (``run.json``) and how it ended (``outcome.json``)."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.config.backend_settings import Placement
from experiments.config.plan import RunPlan, Turn
from machine import clocks
from machine.clocks import now
from machine.files import undamaged, write_whole
from metrics.collect.provenance import Provenance
from metrics.collect.row_files import read_run
from metrics.collect.row_types import RoundRow
from task.job import FederatedJob

THREADS_PER_CLIENT = 1
LOG = "run.log"
FINAL_WEIGHTS = "final.safetensors"
_RUN = "run.json"
_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Identity:
    """What must be equal for two runs to be comparable."""

    dataset_sha256: str
    partition_sha256: str
    initial_weights_sha256: str


@dataclass(frozen=True)
class RunFile:
    """All that the process of a run needs, and all of its row in ``runs`` that is known beforehand.

    Parameters
    ----------
    config
        The whole configuration in plain JSON types; it has the names of environment variables, never a secret.
    started_at
        When its process was started, in seconds since the epoch.
    watcher
        Path of the Unix socket on which its recorder announces rounds.
    watcher_pid
        The process that starts the run.
    part
        How often the run has been resumed so far.
    turn
        When it has its turn in its experiment.
    clock
        Name of the clock of all its moments, :func:`machine.clocks.name`; empty in older files.
    """

    run_id: str
    experiment: str
    backend: str
    job: FederatedJob
    config: dict[str, Any]
    placement: Placement
    identity: Identity
    provenance: Provenance
    started_at: float
    watcher: str
    watcher_pid: int
    part: int = 0
    turn: Turn = field(default_factory=Turn)
    clock: str = ""

    @classmethod
    def of(
        cls,
        plan: RunPlan,
        identity: Identity,
        provenance: Provenance,
        watcher: str,
        part: int = 0,
    ) -> RunFile:
        """Return the file of a planned run that this process is about to start, now."""
        return cls(
            run_id=plan.run_id,
            experiment=plan.experiment,
            backend=plan.backend,
            job=plan.job,
            config=plan.config.to_dict(),
            placement=plan.placement,
            identity=identity,
            provenance=provenance,
            started_at=now(),
            watcher=watcher,
            watcher_pid=os.getpid(),
            part=part,
            turn=plan.turn,
            clock=clocks.name(),
        )

    def write(self, directory: Path) -> None:
        """Write ``run.json``."""
        _write_json(directory / _RUN, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> RunFile:
        """Read ``run.json``.

        Raises
        ------
        FileNotFoundError
            If the folder is not that of a run.
        machine.files.DamagedFileError
            If it holds something else.
        """
        with undamaged(directory / _RUN, "what the run was is lost; move its folder away, and it is made again"):
            values = json.loads((directory / _RUN).read_text(encoding="utf-8"))
            return cls(
                **{
                    **values,
                    "job": FederatedJob.from_dict(values["job"]),
                    "turn": Turn(**values.get("turn", {})),
                    "placement": Placement(**values["placement"]),
                    "identity": Identity(**values["identity"]),
                    "provenance": Provenance(**values["provenance"]),
                }
            )


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its process reports it; a run that was killed reports nothing."""

    status: str  # success, failed, interrupted
    error: str | None = None
    final_weights_sha256: str | None = None

    def write(self, directory: Path) -> None:
        """Write ``outcome.json``."""
        _write_json(directory / _OUTCOME, asdict(self))

    @classmethod
    def forget(cls, directory: Path) -> None:
        """Delete ``outcome.json``: the run goes on."""
        (directory / _OUTCOME).unlink(missing_ok=True)

    @classmethod
    def read(cls, directory: Path) -> Outcome | None:
        """Read ``outcome.json``; ``None`` if there is none."""
        path = directory / _OUTCOME
        if not path.exists():
            return None
        with undamaged(path, "how the run ended is lost; delete the file, and the run counts as interrupted"):
            return cls(**json.loads(path.read_text(encoding="utf-8")))


def rounds_of(directory: Path) -> list[RoundRow]:
    """Return the rounds of a run so far."""
    return [RoundRow(**row) for row in read_run(directory, "rounds").to_pylist()]


def is_run(directory: Path) -> bool:
    """Whether a folder belongs to a run."""
    return (directory / _RUN).is_file()


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(values, indent=1, sort_keys=True) + "\n").encode())
