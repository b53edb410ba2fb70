"""The schema of a configuration: every key that Hydra accepts, with its type.

The values, their units and their sources are in ``conf/``; what a key may be is in
:mod:`experiments.config.validation`. Hydra needs these classes to be mutable;
:mod:`experiments.config.backend_settings` turns them into frozen ones for the backends.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
SCHEMA_NAME = "schema"


@dataclass
class ModelConfig:
    """What is trained."""

    name: str = MISSING


@dataclass
class OptimizerConfig:
    """How a client trains."""

    name: str = MISSING
    learning_rate: float = MISSING


@dataclass
class PartitionConfig:
    """How the images are dealt; a key that the scheme does not use is null."""

    scheme: str = MISSING
    shards_per_client: int | None = None
    alpha: float | None = None


@dataclass
class RoundPolicyConfig:
    """When functions' rounds are closed; a key that the policy does not use is null. Older results know none."""

    name: str = "wait_all"
    k: int | None = None
    deadline_s: float | None = None
    min_updates: int | None = None


@dataclass
class FunctionConfig:
    """The limits of one function."""

    memory_mb: int = MISSING
    timeout_s: float = MISSING


@dataclass
class TopologyConfig:
    """Who invokes the clients' functions; older results know only the keeper. Limits are null without invokers."""

    name: str = "direct"
    invoker_memory_mb: int | None = None
    invoker_timeout_s: float | None = None


@dataclass
class PlatformConfig:
    """The FaaS platform; a key that it does not have is null."""

    name: str = MISSING
    api_host: str | None = MISSING
    auth_env: str = MISSING
    namespace: str | None = None
    image: str | None = None
    callback_host: str | None = None
    project: str | None = None
    location: str | None = None
    deploy_timeout_s: float | None = None
    destroy_after_s: float | None = None
    verify_tls: bool = MISSING
    ca_file: str | None = MISSING
    request_timeout_s: float = MISSING
    blocking_s: float | None = None
    pool_memory_mb: int | None = MISSING
    invocations_per_minute: int | None = None
    concurrent_invocations: int | None = None
    in_flight: int | None = MISSING
    max_attempts: int = MISSING
    max_refused: int = 8
    backoff_s: float = 1.0
    longest_backoff_s: float = 30.0
    grant_s: int = MISSING
    client: FunctionConfig = field(default_factory=FunctionConfig)
    aggregator: FunctionConfig = field(default_factory=FunctionConfig)


@dataclass
class StoreConfig:
    """Where weights and data lie between functions; a key that the store does not use is null."""

    name: str = MISSING
    endpoint: str | None = None
    functions_endpoint: str | None = None
    bucket: str | None = None
    region: str | None = None
    secure: bool | None = None
    ca_file: str | None = None
    functions_ca_file: str | None = None
    access_key_env: str | None = None
    secret_key_env: str | None = None
    timeout_s: float | None = None
    retries: int | None = None


@dataclass
class GroupConfig:
    """Clients of a fabric that run on one platform in the same way; below, keys of that platform to set anew."""

    platform: str = MISSING
    clients: int = MISSING
    memory_mb: int = MISSING
    cpu_share: float | None = None
    network_delay_s: float = 0.0
    cold_start_delay_s: float = 0.0
    pricing: str | None = None
    api_host: str | None = None
    auth_env: str | None = None
    ca_file: str | None = None
    namespace: str | None = None
    image: str | None = None
    callback_host: str | None = None
    project: str | None = None
    location: str | None = None


@dataclass
class RegisterConfig:
    """Where it is noted who the clients of functions are; older results know only the file in their folder."""

    name: str = "sqlite"
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

    name: str = "none"
    context: str | None = None
    kubeconfig: str | None = None
    namespace: str = "openwhisk"
    store_namespace: str | None = None
    every_s: float = 5.0
    timeout_s: float = 5.0


@dataclass
class FlowerConfig:
    """How Flower is deployed."""

    runtime: str = MISSING
    startup_timeout_s: float = MISSING
    round_timeout_s: float = MISSING


@dataclass
class DataConfig:
    """Where the images are."""

    cache: str = MISSING
    path: str | None = MISSING


@dataclass
class FunctionPriceConfig:
    """What a provider asks for function time; null is a price that nobody has seen."""

    per_gb_s: float | None = MISSING
    per_vcpu_s: float | None = MISSING
    per_ghz_s: float | None = MISSING
    per_million_requests: float | None = MISSING
    quantum_s: float = MISSING
    minimum_s: float = MISSING
    bills_init: bool = MISSING
    billed_memory: str = MISSING
    memory_step_mb: int = MISSING
    tiers: list[list[float]] = MISSING
    vcpus: float = MISSING
    free_gb_s: float = MISSING
    free_vcpu_s: float = MISSING
    free_ghz_s: float = MISSING
    free_requests: float = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class TrafficPriceConfig:
    """What data cost that leave a network."""

    per_gb: float | None = MISSING
    free_gb: float = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class StorePriceConfig:
    """What the requests of an object store cost."""

    per_million_writes: float | None = MISSING
    per_million_reads: float | None = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class PricingConfig:
    """A provider's price list."""

    name: str = MISSING
    service: str = MISSING
    region: str = MISSING
    function: FunctionPriceConfig = field(default_factory=FunctionPriceConfig)
    egress: TrafficPriceConfig = field(default_factory=TrafficPriceConfig)
    store: StorePriceConfig = field(default_factory=StorePriceConfig)


@dataclass
class VmConfig:
    """What a virtual machine costs."""

    name: str = MISSING
    region: str = MISSING
    per_hour: float = MISSING
    vcpus: int = MISSING
    quantum_s: float = MISSING
    minimum_s: float = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class BillingConfig:
    """How a deployment is laid out and billed."""

    policy: str = MISSING
    clients_per_vm: int = MISSING
    memory_mb: int | None = MISSING
    store_on: str = MISSING
    egress_share: float = MISSING
    free_tier: bool = MISSING
    round_time: str = MISSING


@dataclass
class ExperimentConfig:
    """Everything that an experiment is made of."""

    experiment: str = MISSING
    backends: list[str] = MISSING
    seeds: list[int] = MISSING
    clients: int = MISSING
    clients_per_round: int = MISSING
    rounds: int = MISSING
    target_accuracy: float | None = MISSING
    batch_size: int = MISSING
    local_epochs: int = MISSING
    optimizer_state: str = MISSING
    selection: str = "random"  # older results know no other
    workers: int | None = MISSING
    out: str | None = MISSING
    rerun: bool = MISSING
    figures: bool = True
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    partition: PartitionConfig = field(default_factory=PartitionConfig)
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
        return asdict(self)

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
