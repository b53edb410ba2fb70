"""The schema of prices: every key of the sections ``pricing``, ``vm`` and ``billing``, with its type and its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from omegaconf import MISSING

from experiments.config.bounds import Amount, Count, Megabytes, OneOf, Positive, Share
from metrics.cost import prices


@dataclass
class FunctionPriceConfig:
    """What a provider asks for function time; null is a price that nobody has seen."""

    per_gb_s: Amount | None = MISSING
    per_vcpu_s: Amount | None = MISSING
    per_ghz_s: Amount | None = MISSING
    per_million_requests: Amount | None = MISSING
    quantum_s: Positive = MISSING
    minimum_s: Amount = MISSING
    bills_init: bool = MISSING
    billed_memory: Annotated[str, OneOf(prices.MEMORY_BASES)] = MISSING
    memory_step_mb: Megabytes = MISSING
    tiers: list[list[float]] = MISSING
    vcpus: Amount = MISSING
    free_gb_s: Amount = MISSING
    free_vcpu_s: Amount = MISSING
    free_ghz_s: Amount = MISSING
    free_requests: Amount = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class TrafficPriceConfig:
    """What data cost that leave a network."""

    per_gb: Amount | None = MISSING
    free_gb: Amount = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class StorePriceConfig:
    """What the requests of an object store cost."""

    per_million_writes: Amount | None = MISSING
    per_million_reads: Amount | None = MISSING
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
    per_hour: Amount = MISSING
    vcpus: Count = MISSING
    quantum_s: Positive = MISSING
    minimum_s: Amount = MISSING
    source: str = MISSING
    date: str = MISSING


@dataclass
class BillingConfig:
    """How a deployment is laid out and billed."""

    policy: Annotated[str, OneOf(prices.POLICIES)] = MISSING
    clients_per_vm: Count = MISSING
    memory_mb: Megabytes | None = MISSING
    store_on: Annotated[str, OneOf(prices.STORES_ON)] = MISSING
    egress_share: Share = MISSING
    free_tier: bool = MISSING
    round_time: Annotated[str, OneOf(prices.ROUND_TIMES)] = MISSING
