"""Prices and billing rules, as frozen values. All amounts are US dollars; 1 MB is 2^20 bytes, 1 GB 2^30.

``None`` is a price that nobody has seen in a source: what it would pay for is null in every table, never zero. A
service that is free of charge has the price 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

POLICIES = ("per_client", "per_selected", "packed")
STORES_ON = ("controller", "vm", "operations")
ROUND_TIMES = ("modelled", "measured")
MEMORY_BASES = ("limit", "peak")


@dataclass(frozen=True, kw_only=True)
class FunctionPrice:
    """What a provider asks for function time.

    Parameters
    ----------
    per_gb_s, per_vcpu_s, per_ghz_s
        Per second of each unit that an instance is given.
    per_million_requests
        Per million invocations.
    quantum_s, minimum_s
        Time is rounded up to multiples of ``quantum_s``, after being raised to ``minimum_s``.
    bills_init
        Whether the initialisation of a new instance is billed.
    billed_memory
        What is billed: the function's ``limit``, or the ``peak`` that it used.
    memory_step_mb
        Billed memory is rounded up to multiples of it.
    tiers
        Memory in MB and the clock in GHz that comes with it, ascending; memory is raised to the next tier. Empty where
        memory is free to choose.
    vcpus
        vCPUs of an instance, where they are billed by themselves.
    free_gb_s, free_vcpu_s, free_ghz_s, free_requests
        Monthly allowance.
    source, date
        The document, and when it was published or read.
    """

    per_gb_s: float | None
    per_vcpu_s: float | None
    per_ghz_s: float | None
    per_million_requests: float | None
    quantum_s: float
    minimum_s: float
    bills_init: bool
    billed_memory: str
    memory_step_mb: int
    tiers: tuple[tuple[int, float], ...]
    vcpus: float
    free_gb_s: float
    free_vcpu_s: float
    free_ghz_s: float
    free_requests: float
    source: str
    date: str

    def __post_init__(self) -> None:
        _refuse_negatives(self)
        _refuse_zero(self, "quantum_s", "memory_step_mb")
        _refuse_others("billed_memory", self.billed_memory, MEMORY_BASES)
        if list(self.tiers) != sorted(set(self.tiers)):
            raise ValueError(f"tiers={list(self.tiers)}: must ascend")

    @property
    def is_known(self) -> bool:
        """Whether a source for every part of the price was seen."""
        return None not in (self.per_gb_s, self.per_vcpu_s, self.per_ghz_s, self.per_million_requests)


@dataclass(frozen=True, kw_only=True)
class TrafficPrice:
    """Price of data that leave a network, per GB of 2^30 bytes; ``free_gb`` is the monthly allowance."""

    per_gb: float | None
    free_gb: float
    source: str
    date: str

    def __post_init__(self) -> None:
        _refuse_negatives(self)


@dataclass(frozen=True, kw_only=True)
class StorePrice:
    """Price of an object store's requests."""

    per_million_writes: float | None
    per_million_reads: float | None
    source: str
    date: str

    def __post_init__(self) -> None:
        _refuse_negatives(self)


@dataclass(frozen=True, kw_only=True)
class VmPrice:
    """Price of a virtual machine: billed by ``quantum_s``, at least ``minimum_s``."""

    name: str
    region: str
    per_hour: float
    vcpus: int
    quantum_s: float
    minimum_s: float
    source: str
    date: str

    def __post_init__(self) -> None:
        _refuse_negatives(self)
        _refuse_zero(self, "quantum_s", "vcpus")


@dataclass(frozen=True, kw_only=True)
class Billing:
    """How a deployment is laid out and billed.

    Parameters
    ----------
    policy
        How many machines the classical side's clients are given: ``per_client``, one for each, idle ones billed;
        ``per_selected``, as many as a round selects; ``packed``, ``clients_per_vm`` of the selected on each.
    memory_mb
        Memory of the functions; ``None``: as they were run.
    store_on
        Where the functions' objects lie: on the ``controller``'s machine, on a ``vm`` of its own, or in a service that
        is billed by ``operations``.
    egress_share
        Share, in [0, 1], of the bytes between clients and the rest that leave a network at the egress price.
    free_tier
        Whether the monthly allowances are subtracted, from each run as if it were alone in its month.
    round_time
        How long machines are held for a round: ``modelled``, as if the clients trained at once on machines of their
        own; ``measured``, as on the machine that ran the experiment.
    """

    policy: str = "per_client"
    clients_per_vm: int = 2
    memory_mb: int | None = None
    store_on: str = "controller"
    egress_share: float = 1.0
    free_tier: bool = False
    round_time: str = "modelled"

    def __post_init__(self) -> None:
        _refuse_negatives(self)
        _refuse_zero(self, "clients_per_vm", *(["memory_mb"] if self.memory_mb is not None else []))
        _refuse_others("policy", self.policy, POLICIES)
        _refuse_others("store_on", self.store_on, STORES_ON)
        _refuse_others("round_time", self.round_time, ROUND_TIMES)
        if self.egress_share > 1:
            raise ValueError(f"egress_share={self.egress_share}: must be from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class PlacePrice:
    """What the functions of one group of a fabric cost, by its own platform's price list.

    Parameters
    ----------
    group
        As ``invocations.fabric_group`` says.
    pricing
        Name of the price list.
    has_aggregator
        Whether the aggregator runs there, too.
    """

    group: str
    pricing: str
    function: FunctionPrice
    has_aggregator: bool = False


@dataclass(frozen=True, kw_only=True)
class PriceBook:
    """All that a bill is made from; functions of a group in ``places`` have that price, all others ``function``."""

    name: str
    service: str
    region: str
    function: FunctionPrice
    egress: TrafficPrice
    store: StorePrice
    vm: VmPrice
    billing: Billing
    places: tuple[PlacePrice, ...] = ()


def _refuse_negatives(values: object) -> None:
    for field in fields(values):  # type: ignore[arg-type]
        value = getattr(values, field.name)
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{field.name}={value}: must be a finite number of 0 or more")


def _refuse_zero(values: object, *names: str) -> None:
    for name in names:
        if not getattr(values, name) > 0:
            raise ValueError(f"{name}={getattr(values, name)}: must be more than 0")


def _refuse_others(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: allowed are {', '.join(allowed)}")


OWN_BOARD = "own_board"  # stands for this assumption where a price list is named
OWN_BOARDS_PRICE = FunctionPrice(
    per_gb_s=0.0,
    per_vcpu_s=0.0,
    per_ghz_s=0.0,
    per_million_requests=0.0,
    quantum_s=0.001,
    minimum_s=0.0,
    bills_init=True,
    billed_memory="limit",
    memory_step_mb=1,
    tiers=(),
    vcpus=0.0,
    free_gb_s=0.0,
    free_vcpu_s=0.0,
    free_ghz_s=0.0,
    free_requests=0.0,
    source="an assumption, no list: nobody bills for a board of one's own; the board and its power are left out",
    date="",
)
