"""Which runs an experiment is made of, and in which order: one per backend, seed and repeat."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from experiments.config.backend_settings import Placement, asked_workers, job_of
from experiments.config.backends import BACKENDS
from experiments.config.schema import ExperimentConfig, TopologyConfig
from task.job import MAX_UPDATE_NORM, FederatedJob, PoisonSpec, StrategySpec

_DIGITS = 8  # of the configuration's hash in a run's id
_SINCE = {  # what a job had before it could be chosen
    "selection": "random",
    "data_set": "mnist",
    "strategy": asdict(StrategySpec()),
    "poison": asdict(PoisonSpec()),
    "max_update_norm": MAX_UPDATE_NORM,  # no update that was learnt from exceeded it
}
_FIRST_PARAMETERS = ("beta", "f", "m")  # of strategies: hashed where they are null, too; later ones are not
_SECTIONS_SINCE = {"topology": asdict(TopologyConfig())}  # the same of sections


@dataclass(frozen=True)
class Turn:
    """When a run of an experiment has its turn; also columns of its row in ``runs``.

    A block holds each system once, for one seed, in an order of its own: what drifts with time (heat, other work on the
    machine) then hits no system more than another.

    Parameters
    ----------
    repeat
        How often the same run was made before, in this experiment.
    block
        Which block of the experiment, from 0.
    place
        Which run of its block, from 0.
    """

    repeat: int = 0
    block: int | None = None
    place: int | None = None


@dataclass(frozen=True)
class RunPlan:
    """One run to be made.

    Parameters
    ----------
    run_id
        ``<backend>-s<seed>-<hash>``, with ``r<repeat>-`` before the hash if it is a repeat; the hash is of all that may
        change what is learnt or measured.
    config
        The whole configuration, with the number of workers that it comes to here.
    directory
        The run's own folder.
    """

    run_id: str
    experiment: str
    backend: str
    job: FederatedJob
    config: ExperimentConfig
    placement: Placement
    directory: Path
    turn: Turn = field(default_factory=Turn)

    @property
    def label(self) -> str:
        """The run's name in messages."""
        return label(self.backend, self.job.seed, self.turn.repeat)


def label(backend: str, seed: int, repeat: int) -> str:
    """Return the name of a run in messages."""
    return f"{backend} seed {seed}" + (f" repeat {repeat}" if repeat else "")


def plan_runs(config: ExperimentConfig, out: Path) -> list[RunPlan]:
    """Return the runs of a valid configuration in the order in which they are made: block by block."""
    resolved = replace(config, workers=asked_workers(config))
    return [
        RunPlan(
            run_id=name,
            experiment=config.experiment,
            backend=backend,
            job=job_of(config, seed),
            config=resolved,
            placement=BACKENDS[backend].placement(config),
            directory=out / "runs" / name,
            turn=turn,
        )
        for backend, seed, turn in _turns(config)
        for name in [run_id(config, backend, seed, turn.repeat)]
    ]


def _turns(config: ExperimentConfig) -> Iterator[tuple[str, int, Turn]]:
    """Yield backend, seed and turn of each run: repeat by repeat, seed by seed, backends shuffled by both."""
    blocks = [(repeat, seed) for repeat in range(config.repeats) for seed in config.seeds]
    for block, (repeat, seed) in enumerate(blocks):
        order = random.Random(f"{repeat}/{seed}").sample(config.backends, len(config.backends))
        for place, backend in enumerate(order):
            yield backend, seed, Turn(repeat, block, place)


def run_id(config: ExperimentConfig, backend: str, seed: int, repeat: int = 0) -> str:
    """Return the id of a run."""
    again = f"r{repeat}-" if repeat else ""
    return f"{backend}-s{seed}-{again}{configuration_hash(config, backend)}"


def configuration_hash(config: ExperimentConfig, backend: str) -> str:
    """Hash what may change what a backend learns or measures, seeds aside.

    Not in it: where results and data lie, the experiment's name, the settings of other backends, and choices that
    were added later, where they are as in every run before them.
    """
    values = {**config.to_dict(), "workers": asked_workers(config)}
    job = {
        key: value
        for key, value in job_of(config, seed=0).to_dict().items()
        if key not in _SINCE or _SINCE[key] != value
    }
    if "strategy" in job:
        job["strategy"] = {
            key: value for key, value in job["strategy"].items() if value is not None or key in _FIRST_PARAMETERS
        }
    for group in values["fabric"]["groups"].values():
        del group["pricing"]  # what a run would cost does not change it
    sections = {key: values[key] for key in BACKENDS[backend].sections if values[key] != _SECTIONS_SINCE.get(key)}
    matters = {"backend": backend, "job": job, **sections}
    text = json.dumps(matters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
