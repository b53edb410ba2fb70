"""From a configuration to the frozen dataclasses that jobs and backends take: the only place of this conversion."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from baselines.flower.settings import FlowerSettings, check
from experiments.config.errors import ConfigError, shown
from experiments.config.platform import absolute, platform_settings
from experiments.config.schema import UNLIMITED, ClusterConfig, ExperimentConfig, StoreConfig
from experiments.config.topology import invoker_spec, invokers_mb
from machine.resources import shared_memory_problem, usable_cores, usable_memory_bytes
from serverless.platforms.protocol import FunctionSpec
from serverless.rounds import ROUND_POLICIES, policy_parameters
from serverless.storage import DirectorySettings, MinioSettings
from task.data import DataSettings
from task.job import (
    FederatedJob,
    OptimizerStatePolicy,
    PartitionScheme,
    PartitionSpec,
    PoisonSpec,
    SelectionPolicy,
    StrategySpec,
)

if TYPE_CHECKING:
    from baselines.inprocess import InprocessSettings
    from serverless.cluster import ClusterSettings
    from serverless.keeper import ServerlessSettings
    from serverless.rounds.round_policies import RoundPolicy
    from serverless.storage import StoreSettings

_POOL_SHARE = 0.8  # of the machine's memory for containers: the keeper, the server and the store need some, too


@dataclass(frozen=True)
class Placement:
    """Where and how a backend runs, as columns of ``runs``; ``workers`` is how many clients may train at once."""

    platform: str | None
    emulated: bool
    runtime: str
    store: str | None
    workers: int


def job_of(config: ExperimentConfig, seed: int) -> FederatedJob:
    """Return what one run of a valid configuration learns."""
    return FederatedJob(
        model=config.model.name,
        optimizer=config.optimizer.name,
        learning_rate=config.optimizer.learning_rate,
        batch_size=config.batch_size,
        local_epochs=config.local_epochs,
        clients=config.clients,
        clients_per_round=config.clients_per_round,
        rounds=config.rounds,
        target_accuracy=config.target_accuracy,
        optimizer_state=cast(OptimizerStatePolicy, config.optimizer_state),
        selection=cast(SelectionPolicy, config.selection),
        partition=PartitionSpec(
            scheme=cast(PartitionScheme, config.partition.scheme),
            **{key: value for key, value in asdict(config.partition).items() if key != "scheme" and value is not None},
        ),
        data_set=config.data.name,
        strategy=StrategySpec(**asdict(config.strategy)),
        poison=PoisonSpec(**asdict(config.poison)),
        max_update_norm=None if config.max_update_norm == UNLIMITED else float(config.max_update_norm),
        seed=seed,
    )


def data_settings(config: ExperimentConfig) -> DataSettings:
    """Return where the images are."""
    return DataSettings(cache=absolute(config.data.cache) or Path(), path=absolute(config.data.path))


def asked_workers(config: ExperimentConfig) -> int:
    """Return how many clients may train at once by the configuration; it is part of a run's id."""
    return usable_cores() if config.workers is None else config.workers


def workers(config: ExperimentConfig) -> int:
    """Return how many clients train at once: a round cannot use more workers than it has clients."""
    return min(asked_workers(config), config.clients_per_round)


def in_flight(config: ExperimentConfig) -> int:
    """Return how many client invocations of a round may be outstanding at once."""
    waits = config.round_policy.name == "wait_all"
    return config.platform.in_flight or (workers(config) if waits else config.clients_per_round)


def capped(config: ExperimentConfig) -> list[str]:
    """Return the line that says so if more workers are asked for than a round can use; else nothing."""
    used = workers(config)
    if config.workers is None or config.workers == used:
        return []
    return [f"workers={config.workers}: a round has clients_per_round={used}, so that {used} workers are started"]


def pool_memory_mb(config: ExperimentConfig) -> int:
    """Return the memory of all containers of the embedded server together, MiB.

    Where rounds leave stragglers behind, it is enough for the clients of two rounds, as far as the machine has it. More
    clients wait in the server's queue, as on a cluster that is full.
    """
    platform = config.platform
    if platform.pool_memory_mb:
        return platform.pool_memory_mb
    one_round = in_flight(config) * platform.client.memory_mb
    if config.round_policy.name == "wait_all":
        others = one_round + platform.aggregator.memory_mb
        return others + invokers_mb(config, in_flight(config), others, _POOL_SHARE)
    free_mb = int(_POOL_SHARE * usable_memory_bytes()) // 2**20
    least = platform.client.memory_mb + platform.aggregator.memory_mb
    return max(least, min(2 * one_round + platform.aggregator.memory_mb, free_mb))


def round_policy(config: ExperimentConfig) -> RoundPolicy:
    """Return when functions' rounds are closed."""
    chosen = config.round_policy
    return ROUND_POLICIES[chosen.name](**{name: getattr(chosen, name) for name in policy_parameters(chosen.name)})


def inprocess(config: ExperimentConfig, directory: Path) -> InprocessSettings:
    """Return the settings of the bare loop."""
    from baselines.inprocess import InprocessSettings  # noqa: PLC0415 - PyArrow: a wrong value is reported without it

    return InprocessSettings(workers=workers(config), data=data_settings(config))


def in_a_pool(config: ExperimentConfig) -> Placement:
    """Return where the bare loop runs."""
    return Placement(platform=None, emulated=False, runtime="pool", store=None, workers=workers(config))


def in_flower(config: ExperimentConfig) -> Placement:
    """Return where Flower runs."""
    simulated = config.flower.runtime == "simulation"
    return Placement(
        platform=None,
        emulated=False,
        runtime=config.flower.runtime,
        store=None,
        workers=workers(config) if simulated else config.clients_per_round,
    )


def on_a_platform(config: ExperimentConfig) -> Placement:
    """Return where functions run."""
    embedded = config.platform.api_host is None
    return Placement(
        platform=config.platform.name,
        emulated=embedded,
        runtime="embedded" if embedded else "cluster",
        store=config.store.name,
        workers=in_flight(config),
    )


def flower(config: ExperimentConfig, directory: Path) -> FlowerSettings:
    """Return the settings of Flower."""
    return FlowerSettings(
        data=data_settings(config),
        workers=workers(config),
        runtime=cast(Literal["simulation", "deployment"], config.flower.runtime),
        startup_timeout_s=config.flower.startup_timeout_s,
        round_timeout_s=config.flower.round_timeout_s,
    )


def check_flower(job: FederatedJob, config: ExperimentConfig) -> None:
    """Refuse a federation that does not fit on one machine, or whose processes can share no memory."""
    if config.flower.runtime == "simulation":
        check_shared_memory(job, config)
    try:
        check(job, flower(config, Path()))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_shared_memory(job: FederatedJob, config: ExperimentConfig) -> None:
    """Refuse a pool of processes where they cannot share semaphores."""
    if problem := shared_memory_problem():
        raise ConfigError(
            f"backends={shown(config.backends)}: {problem}, which inprocess and Flower's simulation need: "
            "mount it (a container: --shm-size=1g), or use functions alone, such as backends=[openwhisk]"
        )


def anything_goes(job: FederatedJob, config: ExperimentConfig) -> None:
    """Accept every valid configuration."""


def serverless(config: ExperimentConfig, directory: Path) -> ServerlessSettings:
    """Return the settings of the function keeper."""
    from serverless.invocations.dispatcher import Retries  # noqa: PLC0415 - PyArrow: a wrong value is reported without it
    from serverless.keeper import ServerlessSettings  # noqa: PLC0415 - PyArrow as well
    from serverless.register.database import RegisterSettings  # noqa: PLC0415 - SQLAlchemy: 0.2 s

    platform = config.platform
    return ServerlessSettings(
        platform=platform_settings(config, in_flight(config), pool_memory_mb(config)),
        store=_store(config.store, directory),
        data=data_settings(config),
        in_flight=in_flight(config),
        client=FunctionSpec("client", platform.client.memory_mb, platform.client.timeout_s),
        aggregator=FunctionSpec("aggregator", platform.aggregator.memory_mb, platform.aggregator.timeout_s),
        policy=round_policy(config),
        retries=Retries(
            max_attempts=platform.max_attempts,
            max_refused=platform.max_refused,
            backoff_s=platform.backoff_s,
            longest_backoff_s=platform.longest_backoff_s,
        ),
        grant_s=platform.grant_s,
        invoker=invoker_spec(config),
        cluster=_cluster(config.cluster),
        register=RegisterSettings(config.register.url, config.register.password_env),
    )


def _cluster(cluster: ClusterConfig) -> ClusterSettings | None:
    from serverless.cluster import ClusterSettings  # noqa: PLC0415 - PyArrow: a wrong value is reported without it

    if cluster.name == "none":
        return None
    given = {key: value for key, value in asdict(cluster).items() if key != "name"}
    return ClusterSettings(**{**given, "kubeconfig": absolute(cluster.kubeconfig)})


def _store(store: StoreConfig, directory: Path) -> StoreSettings:
    if store.name == "directory":
        return DirectorySettings(root=directory / "store")
    given = {key: value for key, value in asdict(store).items() if key not in ("name", "functions_ca_file")}
    return MinioSettings(**{**given, "ca_file": absolute(store.ca_file)})
