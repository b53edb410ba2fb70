"""The schema of a configuration: every key that Hydra accepts, with its type and its bounds.

The values, their units and their sources are in ``conf/``; rules about several keys together, and names that are
registered elsewhere, are in :mod:`experiments.config.validation`. Hydra needs these classes to be mutable;
:mod:`experiments.config.backend_settings` turns them into frozen ones for the backends.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

from omegaconf import MISSING, OmegaConf

from experiments.config.bounds import (
    WEEK_S,
    Count,
    Delay,
    FunctionMegabytes,
    Megabytes,
    Must,
    OneOf,
    Positive,
    Seconds,
    Share,
    above,
    between,
)
from experiments.config.formats import Bucket, Folder, HostPort, Namespace, Region, Url
from experiments.config.platform_keys import drop_later_nulls, with_platform_keys
from experiments.config.price_schema import BillingConfig, PricingConfig, VmConfig
from experiments.tracking import TRACKERS
from task.job import MAX_UPDATE_NORM, OptimizerStatePolicy, PartitionScheme, SelectionPolicy
from task.poison import ATTACKS

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
SCHEMA_NAME = "schema"
UNLIMITED = "unlimited"  # max_update_norm without a bound; YAML takes "off" for false

_BACKENDS = Must("not be empty, such as backends=[inprocess,flower]", bool)
_SEEDS = Must("not be empty, such as seeds=[0,1,2]", bool)
_32_BITS = Must("be numbers from 0 to 4,294,967,295", lambda seeds: all(0 <= seed < 2**32 for seed in seeds))
_ONCE = Must("name each value once: the same one twice would be the same run twice", lambda of: len(set(of)) == len(of))
_TRACKED = Must(f"name some of {', '.join(sorted(TRACKERS))}", lambda names: set(names) <= set(TRACKERS))
_REPEATS = between(1, 100)
_WORKERS = between(1, 1024)  # a process each
_TARGET = between(0, 1, ", such as 0.95, or null for no target")
_OF_A_CORE = above(0, 1, " (of a core), or null")
_BETA = Must("be from 0 to below 0.5: what is left out at both ends", lambda beta: 0 <= beta < 0.5)
_DECAY = Must("be from 0 to below 1", lambda decay: 0 <= decay < 1)
_NORM = Must(
    f"be a number above 0 and at most 1e+30, or {UNLIMITED} for no bound",
    lambda norm: norm == UNLIMITED or 0 < _number(norm) <= 1e30,
)
_GRANT = between(1, WEEK_S, " seconds: a presigned URL is valid for 7 days at most")  # AWS Signature Version 4


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass
class ModelConfig:
    """What is trained."""

    name: str = MISSING


@dataclass
class OptimizerConfig:
    """How a client trains."""

    name: str = MISSING
    learning_rate: Positive = MISSING


@dataclass
class PartitionConfig:
    """How the images are dealt; a key that the scheme does not use is null."""

    scheme: Annotated[str, OneOf(get_args(PartitionScheme))] = MISSING
    shards_per_client: Count | None = None
    alpha: Positive | None = None


@dataclass
class StrategyConfig:
    """How clients train and how updates become global weights; a key that the strategy does not use is null."""

    name: str = "fedavg"  # older results know no other
    beta: Annotated[float, _BETA] | None = None
    f: Annotated[int, between(0, 1_000_000)] | None = None
    m: Count | None = None
    mu: Annotated[float, between(0, 1000)] | None = None
    eta: Positive | None = None
    momentum: Annotated[float, _DECAY] | None = None
    beta_1: Annotated[float, _DECAY] | None = None
    beta_2: Annotated[float, _DECAY] | None = None
    tau: Positive | None = None


@dataclass
class PoisonConfig:
    """Simulated poisoners; older results know none."""

    share: Share = 0.0
    attack: Annotated[str, OneOf(("none", *ATTACKS))] = "none"
    scale: Positive = 1.0


@dataclass
class RoundPolicyConfig:
    """When functions' rounds are closed; a key that the policy does not use is null. Older results know none."""

    name: str = "wait_all"
    k: Count | None = None
    deadline_s: Seconds | None = None
    min_updates: Count | None = None


@dataclass
class FunctionConfig:
    """The limits of one function."""

    memory_mb: FunctionMegabytes = MISSING
    timeout_s: Seconds = MISSING


@dataclass
class TopologyConfig:
    """Who invokes the clients' functions; older results know only the keeper. Limits are null without invokers."""

    name: Annotated[str, OneOf(("direct", "fedkeeper"))] = "direct"
    invoker_memory_mb: FunctionMegabytes | None = None
    invoker_timeout_s: Seconds | None = None


@with_platform_keys
@dataclass
class PlatformConfig:
    """The FaaS platform; below, keys that all have. The own keys of others than the chosen one are null."""

    name: str = MISSING
    api_host: Url | None = MISSING
    auth_env: str = MISSING
    verify_tls: bool = MISSING
    ca_file: str | None = MISSING
    request_timeout_s: Seconds = MISSING
    pool_memory_mb: Megabytes | None = MISSING
    in_flight: Count | None = MISSING
    max_attempts: Count = MISSING
    max_refused: Count = 8
    backoff_s: Seconds = 1.0
    longest_backoff_s: Seconds = 30.0
    grant_s: Annotated[int, _GRANT] = MISSING
    client: FunctionConfig = field(default_factory=FunctionConfig)
    aggregator: FunctionConfig = field(default_factory=FunctionConfig)


@dataclass
class StoreConfig:
    """Where weights and data lie between functions; a key that the store does not use is null."""

    name: Annotated[str, OneOf(("directory", "minio"))] = MISSING
    endpoint: HostPort | None = None
    functions_endpoint: HostPort | None = None
    bucket: Bucket | None = None
    region: Region | None = None
    secure: bool | None = None
    ca_file: str | None = None
    functions_ca_file: str | None = None
    access_key_env: str | None = None
    secret_key_env: str | None = None
    timeout_s: Seconds | None = None
    retries: Annotated[int, between(0, 100)] | None = None


@with_platform_keys
@dataclass
class GroupConfig:
    """Clients of a fabric that run on one platform in the same way; below, keys of that platform to set anew."""

    platform: str = MISSING
    clients: Count = MISSING
    memory_mb: FunctionMegabytes = MISSING
    cpu_share: Annotated[float, _OF_A_CORE] | None = None
    network_delay_s: Delay = 0.0
    cold_start_delay_s: Delay = 0.0
    pricing: str | None = None
    api_host: Url | None = None
    auth_env: str | None = None
    ca_file: str | None = None


@dataclass
class RegisterConfig:
    """Where it is noted who the clients of functions are; older results know only the file in their folder."""

    name: Annotated[str, OneOf(("sqlite", "postgresql"))] = "sqlite"
    url: str | None = None
    password_env: str | None = None


@dataclass
class FabricConfig:
    """Several platforms in one federation; older results know none."""

    name: str = "none"
    aggregator: str | None = None
    groups: dict[str, GroupConfig] = field(default_factory=dict)


@dataclass
class ClusterConfig:
    """A Kubernetes cluster whose pods are watched; older results know none."""

    name: Annotated[str, OneOf(("none", "kubernetes"))] = "none"
    context: str | None = None
    kubeconfig: str | None = None
    namespace: Namespace = "openwhisk"
    store_namespace: Namespace | None = None
    every_s: Seconds = 5.0
    timeout_s: Seconds = 5.0


@dataclass
class FlowerConfig:
    """How Flower is deployed."""

    runtime: Annotated[str, OneOf(("deployment", "simulation"))] = MISSING
    startup_timeout_s: Seconds = MISSING
    round_timeout_s: Seconds = MISSING


@dataclass
class DataConfig:
    """Which images, and where they are."""

    name: str = "mnist"  # older results know no other
    cache: str = MISSING
    path: str | None = MISSING


@dataclass
class ExperimentConfig:
    """Everything that an experiment is made of."""

    experiment: Folder = MISSING
    backends: Annotated[list[str], _BACKENDS, _ONCE] = MISSING
    seeds: Annotated[list[int], _SEEDS, _32_BITS, _ONCE] = MISSING
    repeats: Annotated[int, _REPEATS] = 1  # older results have one
    clients: Count = MISSING
    clients_per_round: Count = MISSING
    rounds: Count = MISSING
    target_accuracy: Annotated[float, _TARGET] | None = MISSING
    max_update_norm: Annotated[str, _NORM] = f"{MAX_UPDATE_NORM:g}"  # a number, or the name of none
    batch_size: Count = MISSING
    local_epochs: Count = MISSING
    optimizer_state: Annotated[str, OneOf(get_args(OptimizerStatePolicy))] = MISSING
    selection: Annotated[str, OneOf(get_args(SelectionPolicy))] = "random"  # older results know no other
    workers: Annotated[int, _WORKERS] | None = MISSING
    out: str | None = MISSING
    rerun: bool = MISSING
    figures: bool = True
    tracking: Annotated[list[str], _TRACKED, _ONCE] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    partition: PartitionConfig = field(default_factory=PartitionConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    poison: PoisonConfig = field(default_factory=PoisonConfig)
    round_policy: RoundPolicyConfig = field(default_factory=RoundPolicyConfig)
    topology: TopologyConfig = field(default_factory=TopologyConfig)
    platform: PlatformConfig = field(default_factory=PlatformConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    fabric: FabricConfig = field(default_factory=FabricConfig)
    register: RegisterConfig = field(default_factory=RegisterConfig)
    flower: FlowerConfig = field(default_factory=FlowerConfig)
    pricing: PricingConfig = field(default_factory=PricingConfig)
    vm: VmConfig = field(default_factory=VmConfig)
    billing: BillingConfig = field(default_factory=BillingConfig)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        values = asdict(self)
        drop_later_nulls(values)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ExperimentConfig:
        """Rebuild a configuration from :meth:`to_dict`; keys and types are checked again.

        Raises
        ------
        omegaconf.errors.OmegaConfBaseException
            If a key is unknown or missing, or a value has another type.
        """
        merged = OmegaConf.merge(OmegaConf.structured(cls), values)
        config = OmegaConf.to_object(merged)
        if not isinstance(config, cls):
            raise TypeError(f"{type(config).__name__} is not a configuration")
        return config
