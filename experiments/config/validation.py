"""What the keys of a configuration may hold, beyond their types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import get_args

from experiments.config.backend_settings import in_flight
from experiments.config.backends import BACKENDS, CLUSTERS, FLOWER_RUNTIMES, ROUND_POLICIES, STORES
from experiments.config.connections import access_problems, register_problems
from experiments.config.errors import ConfigError, one_of, wrong
from experiments.config.fabric import BACKEND, fabric_problems
from experiments.config.platform import PLATFORMS, platform_problems
from experiments.config.schema import ExperimentConfig, FunctionConfig
from experiments.config.topology import topology_problems
from metrics.cost import prices
from task.job import ModelName, OptimizerName, OptimizerStatePolicy, PartitionScheme, SelectionPolicy

TRAINING_IMAGES = 60_000
FUNCTIONS = (*PLATFORMS, BACKEND)  # backends that are functions
BLOCKING_MAX_S = 60.0  # apache/openwhisk, docs/rest_api.md


def validate(config: ExperimentConfig) -> None:
    """Refuse a configuration that cannot be run.

    Raises
    ------
    ConfigError
        It holds one line per problem: the key, its value, and what is allowed.
    """
    problems = [*_names(config), *_lists(config), *_numbers(config), *_combinations(config), *_prices(config)]
    if problems:
        raise ConfigError(*problems)


def _names(config: ExperimentConfig) -> Iterator[str]:
    for key, value, names in (
        ("model.name", config.model.name, get_args(ModelName)),
        ("optimizer.name", config.optimizer.name, get_args(OptimizerName)),
        ("partition.scheme", config.partition.scheme, get_args(PartitionScheme)),
        ("optimizer_state", config.optimizer_state, get_args(OptimizerStatePolicy)),
        ("selection", config.selection, get_args(SelectionPolicy)),
        ("platform.name", config.platform.name, PLATFORMS),
        ("store.name", config.store.name, STORES),
        ("round_policy.name", config.round_policy.name, ROUND_POLICIES),
        ("cluster.name", config.cluster.name, CLUSTERS),
        ("flower.runtime", config.flower.runtime, FLOWER_RUNTIMES),
        ("pricing.function.billed_memory", config.pricing.function.billed_memory, prices.MEMORY_BASES),
        ("billing.policy", config.billing.policy, prices.POLICIES),
        ("billing.store_on", config.billing.store_on, prices.STORES_ON),
        ("billing.round_time", config.billing.round_time, prices.ROUND_TIMES),
    ):
        if value not in names:
            yield one_of(key, value, names)
    if not config.experiment or "/" in config.experiment or config.experiment.startswith("."):
        yield wrong("experiment", config.experiment, "must be a plain name: it becomes the name of a folder")


def _lists(config: ExperimentConfig) -> Iterator[str]:
    yield from _distinct("backends", config.backends, f"[{','.join(BACKENDS)}]")
    yield from _distinct("seeds", config.seeds, "[0,1,2]")
    for backend in config.backends:
        if backend not in BACKENDS:
            yield one_of("backends", backend, BACKENDS)
    if any(seed < 0 for seed in config.seeds):
        yield wrong("seeds", config.seeds, "seeds must be 0 or more")


def _distinct(key: str, values: Iterable[object], example: str) -> Iterator[str]:
    values = list(values)
    if not values:
        yield wrong(key, values, f"must not be empty, such as {key}={example}")
    if len(set(values)) < len(values):
        yield wrong(key, values, "the same one twice would be the same run twice; name each once")


def _numbers(config: ExperimentConfig) -> Iterator[str]:
    for key, count in (
        ("clients", config.clients),
        ("clients_per_round", config.clients_per_round),
        ("rounds", config.rounds),
        ("batch_size", config.batch_size),
        ("local_epochs", config.local_epochs),
        ("workers", config.workers),
        ("partition.shards_per_client", config.partition.shards_per_client),
        ("platform.in_flight", config.platform.in_flight),
        ("platform.max_attempts", config.platform.max_attempts),
        ("platform.max_refused", config.platform.max_refused),
        ("round_policy.k", config.round_policy.k),
        ("round_policy.min_updates", config.round_policy.min_updates),
        ("platform.invocations_per_minute", config.platform.invocations_per_minute),
        ("platform.concurrent_invocations", config.platform.concurrent_invocations),
    ):
        if count is not None and count < 1:
            yield wrong(key, count, "must be 1 or more")
    for key, number, unit in (
        ("optimizer.learning_rate", config.optimizer.learning_rate, ""),
        ("partition.alpha", config.partition.alpha, ""),
        ("flower.startup_timeout_s", config.flower.startup_timeout_s, " seconds"),
        ("flower.round_timeout_s", config.flower.round_timeout_s, " seconds"),
        ("platform.pool_memory_mb", config.platform.pool_memory_mb, " MB"),
        ("platform.request_timeout_s", config.platform.request_timeout_s, " seconds"),
        ("platform.blocking_s", config.platform.blocking_s, " seconds"),
        ("platform.deploy_timeout_s", config.platform.deploy_timeout_s, " seconds"),
        ("platform.destroy_after_s", config.platform.destroy_after_s, " seconds"),
        ("platform.grant_s", config.platform.grant_s, " seconds"),
        ("platform.backoff_s", config.platform.backoff_s, " seconds"),
        ("platform.longest_backoff_s", config.platform.longest_backoff_s, " seconds"),
        ("round_policy.deadline_s", config.round_policy.deadline_s, " seconds"),
        ("store.timeout_s", config.store.timeout_s, " seconds"),
        ("cluster.every_s", config.cluster.every_s, " seconds"),
        ("cluster.timeout_s", config.cluster.timeout_s, " seconds"),
        *_limits("platform.client", config.platform.client),
        *_limits("platform.aggregator", config.platform.aggregator),
    ):
        if number is not None and not (math.isfinite(number) and number > 0):
            yield wrong(key, number, f"must be more than 0{unit}")
    if (config.platform.blocking_s or 0) > BLOCKING_MAX_S:
        allowed = f"OpenWhisk waits {BLOCKING_MAX_S:g} seconds at most"
        yield wrong("platform.blocking_s", config.platform.blocking_s, allowed)
    target = config.target_accuracy
    if target is not None and not 0 <= target <= 1:
        yield wrong("target_accuracy", target, "must be from 0 to 1, such as 0.95, or null for no target")


def _prices(config: ExperimentConfig) -> Iterator[str]:
    """Every number of a price list is an amount: none is negative, and steps and machines are more than nothing."""
    more_than_0 = ("quantum_s", "memory_step_mb", "vm.vcpus", "clients_per_vm", "memory_mb")
    for section in ("pricing.function", "pricing.egress", "pricing.store", "vm", "billing"):
        for name, value in vars(_section(config, section)).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            key = f"{section}.{name}"
            positive = name in more_than_0 or key in more_than_0
            if not math.isfinite(value) or value < 0 or (positive and value == 0):
                yield wrong(key, value, f"must be {'more than 0' if positive else '0 or more'}")
    if config.billing.egress_share > 1:
        yield wrong("billing.egress_share", config.billing.egress_share, "must be from 0 to 1")
    tiers = config.pricing.function.tiers
    if tiers != sorted(tiers) or any(len(tier) != 2 or min(tier) <= 0 for tier in tiers):
        yield wrong("pricing.function.tiers", tiers, "must be pairs of MB and GHz, ascending, such as [[128.0,0.2]]")
    elif tiers and (config.billing.memory_mb or 0) > tiers[-1][0]:
        allowed = f"pricing={config.pricing.name} has functions of up to {tiers[-1][0]:g} MB"
        yield wrong("billing.memory_mb", config.billing.memory_mb, allowed)


def _section(config: ExperimentConfig, dotted: str) -> object:
    section: object = config
    for name in dotted.split("."):
        section = getattr(section, name)
    return section


def _limits(key: str, function: FunctionConfig) -> tuple[tuple[str, float, str], ...]:
    return (
        (f"{key}.memory_mb", function.memory_mb, " MB"),
        (f"{key}.timeout_s", function.timeout_s, " seconds"),
    )


def _combinations(config: ExperimentConfig) -> Iterator[str]:
    if config.clients_per_round > config.clients >= 1:
        yield wrong("clients_per_round", config.clients_per_round, f"must be from 1 to clients={config.clients}")
    if config.clients > TRAINING_IMAGES:
        allowed = f"MNIST has {TRAINING_IMAGES:,} training images to deal, one each at least"
        yield wrong("clients", config.clients, allowed)
    yield from _partition(config)
    yield from _round_policy(config)
    others = [backend for backend in config.backends if backend not in FUNCTIONS]
    if config.selection == "fastest_mix" and others:
        allowed = f"depends on how long functions took, so that {' and '.join(others)} cannot do the same; "
        yield wrong("selection", config.selection, allowed + "use backends=[openwhisk], or another selection")
    yield from fabric_problems(config)
    yield from topology_problems(config, in_flight(config))
    if set(FUNCTIONS).intersection(config.backends):
        yield from register_problems(config)
        yield from _serverless(config)
    if config.cluster.name != "none" and config.platform.api_host is None:
        has_no_pods = "watches the pods of platform.api_host, which is null; name it, or use cluster=none"
        yield wrong("cluster.name", config.cluster.name, has_no_pods)


def _partition(config: ExperimentConfig) -> Iterator[str]:
    partition = config.partition
    for key, value, scheme in (
        ("shards_per_client", partition.shards_per_client, "shards"),
        ("alpha", partition.alpha, "dirichlet"),
    ):
        if (value is None) == (partition.scheme == scheme):
            only = f"is for partition={scheme}, and needed there; here partition.scheme={partition.scheme}"
            yield wrong(f"partition.{key}", value, only)
    shards = config.clients * (partition.shards_per_client or 0)
    if partition.scheme == "shards" and shards > 0 and TRAINING_IMAGES % shards:
        yield wrong(
            "clients",
            config.clients,
            f"with partition.shards_per_client={partition.shards_per_client} makes {shards} shards, which do not "
            f"divide the {TRAINING_IMAGES:,} images evenly; choose a product that does, such as 100 x 2",
        )


def _round_policy(config: ExperimentConfig) -> Iterator[str]:
    chosen, most = config.round_policy, config.clients_per_round
    for key, value, name in (
        ("k", chosen.k, "first_k"),
        ("deadline_s", chosen.deadline_s, "deadline"),
        ("min_updates", chosen.min_updates, "deadline"),
    ):
        if (value is None) == (chosen.name == name):
            only = f"is for round_policy={name}, and needed there; here round_policy.name={chosen.name}"
            yield wrong(f"round_policy.{key}", value, only)
        elif value is not None and key != "deadline_s" and value > most >= 1:
            yield wrong(f"round_policy.{key}", value, f"must be from 1 to clients_per_round={most}")


def _serverless(config: ExperimentConfig) -> Iterator[str]:
    platform, store = config.platform, config.store
    if store.name == "minio":
        if not (store.endpoint and store.bucket):
            yield wrong("store.endpoint", store.endpoint, "must be host:port of the server, and store.bucket a name")
    elif store.endpoint is not None:
        yield wrong("store.endpoint", store.endpoint, "is for store=minio; here store.name=directory")
    elif platform.api_host is not None:
        yield wrong(
            "store.name",
            store.name,
            f"functions at platform.api_host={platform.api_host} cannot read this machine's files; "
            "use store=minio store.endpoint=HOST:PORT",
        )
    yield from platform_problems(config)
    yield from access_problems(config)
