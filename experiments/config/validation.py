"""What the keys of a configuration may hold together, beyond the types and bounds of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experiments.config.backend_settings import in_flight
from experiments.config.backends import BACKENDS
from experiments.config.bounds import bound_problems
from experiments.config.connections import access_problems, register_problems
from experiments.config.errors import ConfigError, brief, one_of, wrong
from experiments.config.fabric import fabric_problems
from experiments.config.platform import FABRIC, platform_problems
from experiments.config.schema import ExperimentConfig
from experiments.config.topology import topology_problems
from serverless.platforms.registry import platforms
from serverless.rounds import ROUND_POLICIES, policy_parameters
from task.data import DATA_SETS
from task.engines.optimizers import OPTIMIZERS
from task.images.data_set import DataSet
from task.job import StrategySpec
from task.models import MODELS, weights_like
from task.poison import ATTACKS
from task.strategies import STRATEGIES, bytes_in_memory, strategy_of, strategy_parameters

FUNCTIONS = (*platforms(), FABRIC)  # backends that are functions
_NEEDED_BY_MINIO = ("endpoint", "bucket", "region", "secure", "timeout_s", "retries")


def validate(config: ExperimentConfig) -> None:
    """Refuse a configuration that cannot be run.

    Raises
    ------
    ConfigError
        It has one line per problem: the key, its value, and what is allowed.
    """
    problems = [*bound_problems(config), *_registered(config), *_combinations(config), *_prices(config)]
    if problems:
        raise ConfigError(*problems)


def _registered(config: ExperimentConfig) -> Iterator[str]:
    """Yield a line for each name that no registry has."""
    names = (
        *(("backends", backend, BACKENDS) for backend in config.backends),
        ("platform.name", config.platform.name, platforms()),
        ("data.name", config.data.name, DATA_SETS),
        ("model.name", config.model.name, MODELS),
        ("optimizer.name", config.optimizer.name, OPTIMIZERS),
        ("strategy.name", config.strategy.name, STRATEGIES),
        ("round_policy.name", config.round_policy.name, ROUND_POLICIES),
    )
    for key, name, registry in names:
        if name not in registry:
            yield one_of(key, name, registry)


def _prices(config: ExperimentConfig) -> Iterator[str]:
    tiers = config.pricing.function.tiers
    if tiers != sorted(tiers) or any(len(tier) != 2 or min(tier) <= 0 for tier in tiers):
        yield wrong("pricing.function.tiers", tiers, "must be pairs of MB and GHz, ascending, such as [[128.0,0.2]]")
    elif tiers and (config.billing.memory_mb or 0) > tiers[-1][0]:
        allowed = f"pricing={config.pricing.name} has functions of up to {tiers[-1][0]:g} MB"
        yield wrong("billing.memory_mb", config.billing.memory_mb, allowed)


def _combinations(config: ExperimentConfig) -> Iterator[str]:
    if config.clients_per_round > config.clients >= 1:
        yield wrong("clients_per_round", config.clients_per_round, f"must be from 1 to clients={config.clients}")
    yield from _partition(config)
    if config.data.name in DATA_SETS:
        yield from _dealt(config, DATA_SETS[config.data.name])
    yield from _round_policy(config)
    yield from _strategy(config)
    if config.poison.share > 0 and config.poison.attack == "none":
        allowed = f"with poison.share={config.poison.share:g} an attack must be chosen: {', '.join(ATTACKS)}"
        yield wrong("poison.attack", config.poison.attack, allowed)
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
            only = f"is for partition={scheme}, and needed there; here partition.scheme={brief(partition.scheme)}"
            yield wrong(f"partition.{key}", value, only)


def _dealt(config: ExperimentConfig, data_set: DataSet) -> Iterator[str]:
    partition, images = config.partition, data_set.training_images
    if config.clients > images:
        allowed = f"{data_set.title} has {images:,} training images to deal, one each at least"
        yield wrong("clients", config.clients, allowed)
    shards = config.clients * (partition.shards_per_client or 0)
    if partition.scheme == "shards" and shards > 0 and images % shards:
        yield wrong(
            "clients",
            config.clients,
            f"with partition.shards_per_client={partition.shards_per_client} makes {shards} shards, which do not "
            f"divide the {images:,} images evenly; choose a product that does, such as 100 x 2",
        )


def _round_policy(config: ExperimentConfig) -> Iterator[str]:
    chosen, most = config.round_policy, config.clients_per_round
    yield from _parameters("round_policy", chosen, {name: policy_parameters(name) for name in ROUND_POLICIES})
    for key in ("k", "min_updates"):
        value = getattr(chosen, key)
        if value is not None and chosen.name in ROUND_POLICIES and value > most >= 1:
            yield wrong(f"round_policy.{key}", value, f"must be from 1 to clients_per_round={most}")


def _strategy(config: ExperimentConfig) -> Iterator[str]:
    chosen = config.strategy
    wanted = {name: strategy_parameters(name) for name in STRATEGIES}
    yield from (problems := list(_parameters("strategy", chosen, wanted)))
    if problems or chosen.name not in STRATEGIES or any(bound_problems(chosen)):
        return
    only = STRATEGIES[chosen.name].optimizers
    if only and config.optimizer.name not in only:
        allowed = f"strategy={chosen.name} is made for {' and '.join(only)} alone; use optimizer={only[0]}"
        yield wrong("optimizer.name", config.optimizer.name, allowed)
    needs, updates = strategy_of(StrategySpec(**vars(chosen))).least_updates, _least_updates(config)
    if needs > updates:
        given = "".join(f", {key}={getattr(chosen, key)}" for key in strategy_parameters(chosen.name))
        allowed = f"{given[2:]} needs {needs} updates a round or more, but a round may have only {updates}"
        yield wrong("strategy.name", chosen.name, f"{allowed} (clients_per_round, and round_policy with functions)")


def _aggregators_memory(config: ExperimentConfig) -> Iterator[str]:
    """Refuse what the aggregator function cannot hold, whatever else it needs; preflight measures that."""
    if config.strategy.name not in STRATEGIES or config.model.name not in MODELS:
        return  # said elsewhere
    model_bytes = sum(array.nbytes for array in weights_like(config.model.name).values())
    need_mb = bytes_in_memory(config.strategy.name, config.clients_per_round, model_bytes) / 2**20
    if need_mb > config.platform.aggregator.memory_mb:
        allowed = (
            f"strategy={config.strategy.name} with clients_per_round={config.clients_per_round} takes {need_mb:,.0f} "
            "MB, beside what its imports need; raise it, lower clients_per_round, or take strategy=fedavg"
        )
        yield wrong("platform.aggregator.memory_mb", config.platform.aggregator.memory_mb, allowed)


def _least_updates(config: ExperimentConfig) -> int:
    """Return the fewest updates that a round is closed with."""
    policy = config.round_policy
    early = policy.k or policy.min_updates if set(FUNCTIONS).intersection(config.backends) else None
    return min(config.clients_per_round, early or config.clients_per_round)


def _parameters(section: str, chosen: object, wanted: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield a line for each key that the chosen one of several does not have, or lacks.

    Parameters
    ----------
    wanted
        What can be chosen, and the keys that each needs.
    """
    given = vars(chosen)
    for key, value in given.items():
        users = [name for name, keys in wanted.items() if key in keys]
        if key != "name" and (value is None) == (given["name"] in users):
            needed = " and ".join(f"{section}={name}" for name in users)
            only = f"is for {needed}, and needed there; here {section}.name={brief(given['name'])}"
            yield wrong(f"{section}.{key}", value, only)


def _serverless(config: ExperimentConfig) -> Iterator[str]:
    platform, store = config.platform, config.store
    if store.name == "minio":
        for key in _NEEDED_BY_MINIO:
            if getattr(store, key) is None:
                yield wrong(f"store.{key}", None, "is needed with store=minio; see conf/store/minio.yaml")
    elif store.endpoint is not None:
        yield wrong("store.endpoint", store.endpoint, "is for store=minio; here store.name=directory")
    elif platform.api_host is not None:
        yield wrong(
            "store.name",
            store.name,
            f"functions at platform.api_host={platform.api_host} cannot read this machine's files; "
            "use store=minio store.endpoint=HOST:PORT",
        )
    yield from _aggregators_memory(config)
    yield from platform_problems(config)
    yield from access_problems(config)
