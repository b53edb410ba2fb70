"""The backends by name, so that another one is one entry here.

Nothing of a backend is imported until its settings are made or it is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.config import backend_settings
from experiments.config.backend_settings import Placement, anything_goes
from experiments.config.fabric import fabric_run, on_a_fabric
from experiments.config.platform import FABRIC
from experiments.config.schema import ExperimentConfig
from serverless.platforms.registry import platforms

if TYPE_CHECKING:  # a mistyped key is reported without waiting for pandas
    from metrics.collect.recorder import Recorder
    from task.job import FederatedJob
    from task.weights import Weights


class Run(Protocol):
    """The entry point of a backend."""

    def __call__(self, job: FederatedJob, settings: Any, recorder: Recorder, /) -> Weights:
        """Learn ``job``, leave every round with ``recorder``, and return the final global weights."""


@dataclass(frozen=True)
class Backend:
    """A system that a job can run on.

    Parameters
    ----------
    module
        Where its ``run`` is.
    settings
        Makes its frozen settings of a configuration and the run's own folder.
    placement
        Says where and how it would run.
    sections
        The keys of the configuration, beside the job's, that may change what is measured: part of a run's id.
    check
        Refuses, with a :class:`ConfigError`, a job that this backend cannot run as configured.
    """

    module: str
    settings: Callable[[ExperimentConfig, Path], Any]
    placement: Callable[[ExperimentConfig], Placement]
    sections: tuple[str, ...]
    check: Callable[[FederatedJob, ExperimentConfig], None] = anything_goes

    def load(self) -> Run:
        """Import the backend and return its entry point."""
        run: Run = import_module(self.module).run
        return run


_OF_FUNCTIONS = ("workers", "round_policy", "platform", "store")
BACKENDS: dict[str, Backend] = {
    "inprocess": Backend(
        "baselines.inprocess",
        backend_settings.inprocess,
        backend_settings.in_a_pool,
        ("workers",),
        backend_settings.check_shared_memory,
    ),
    "flower": Backend(
        "baselines.flower",
        backend_settings.flower,
        backend_settings.in_flower,
        ("workers", "flower"),
        backend_settings.check_flower,
    ),
    **{
        name: Backend(
            "serverless.keeper",
            backend_settings.serverless,
            backend_settings.on_a_platform,
            (*_OF_FUNCTIONS, *(["topology"] if platform.functions_may_invoke else [])),
        )
        for name, platform in platforms().items()
    },
    FABRIC: Backend("serverless.keeper", fabric_run, on_a_fabric, (*_OF_FUNCTIONS, "fabric")),
}
