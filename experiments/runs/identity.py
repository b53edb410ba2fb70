"""The hashes that say that two runs learn the same thing from the same data and the same start."""

from __future__ import annotations

from experiments.config.errors import ConfigError
from experiments.config.plan import RunPlan
from experiments.runs.run_files import Identity
from task.data import DataSettings, Images, load_images
from task.job import FederatedJob
from task.models import initial_weights
from task.partition import make_partition
from task.weights import sha256


def identify(plans: list[RunPlan], data: DataSettings) -> dict[str, Identity]:
    """Return the identity of each run by its id; the data are fetched and verified on the way.

    Raises
    ------
    task.data.DataError
        If a data set cannot be had, or is another one.
    ConfigError
        If the images cannot be dealt as configured.
    """
    images = {name: load_images(name, data) for name in {plan.job.data_set for plan in plans}}
    of_job = {job: _identity(job, images[job.data_set]) for job in dict.fromkeys(plan.job for plan in plans)}
    return {plan.run_id: of_job[plan.job] for plan in plans}


def _identity(job: FederatedJob, dataset: Images) -> Identity:
    try:
        partition = make_partition(job, dataset.train_labels)
    except ValueError as error:
        raise ConfigError(f"seed {job.seed}: {error}") from error
    return Identity(
        dataset_sha256=dataset.sha256,
        partition_sha256=partition.sha256,
        initial_weights_sha256=sha256(initial_weights(job.model, job.seed)),
    )
