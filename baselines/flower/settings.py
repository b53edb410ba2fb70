"""How a Flower federation is run, as opposed to what it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from task.data import DataSettings
from task.job import FederatedJob

Runtime = Literal["simulation", "deployment"]
MAX_DEPLOYMENT_CLIENTS = 20  # each takes 0.2 GB (SuperNode, SuperExec), and 0.5 GB more (ClientApp) while it trains


@dataclass(frozen=True)
class FlowerSettings:
    """How a Flower federation is run.

    Parameters
    ----------
    data
        Where the images are; every process of the federation reads them there.
    workers
        ``simulation``: how many clients train at once, each on one CPU. ``deployment``: not used, every SuperNode is a
        machine of its own to Flower, and all clients of a round train at once.
    runtime
        ``simulation``: virtual SuperNodes in Ray's worker processes. ``deployment``: a SuperLink and a SuperNode per
        client, each with its own processes, on loopback.
    startup_timeout_s
        The longest that the federation may take until its first round.
    round_timeout_s
        The longest that the clients of a round may take until all have answered.
    """

    data: DataSettings
    workers: int = 2
    runtime: Runtime = "simulation"
    startup_timeout_s: float = 300.0
    round_timeout_s: float = 1800.0

    def concurrency(self, job: FederatedJob) -> int:
        """Return how many clients may train at once."""
        return self.workers if self.runtime == "simulation" else job.clients_per_round


def check(job: FederatedJob, settings: FlowerSettings) -> None:
    """Refuse what cannot be run, before anything is started.

    Raises
    ------
    ValueError
        It names the setting, its value, and what is allowed.
    """
    if settings.runtime not in get_args(Runtime):
        raise ValueError(
            f"flower.runtime={settings.runtime}: there is no such runtime; choose one of {', '.join(get_args(Runtime))}"
        )
    if settings.workers < 1:
        raise ValueError(f"flower.workers={settings.workers}: at least 1 client must be able to train")
    if settings.runtime == "deployment" and job.clients > MAX_DEPLOYMENT_CLIENTS:
        raise ValueError(
            f"clients={job.clients} with flower.runtime=deployment: every client is a SuperNode with processes of its "
            f"own, and more than {MAX_DEPLOYMENT_CLIENTS} do not fit on one machine. Use clients<="
            f"{MAX_DEPLOYMENT_CLIENTS}, or flower.runtime=simulation, which has no such limit"
        )
