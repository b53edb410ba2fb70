"""From a configuration to the prices that :mod:`metrics.cost` takes, and from tables to a bill on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.config.price_schema import FunctionPriceConfig
from experiments.config.schema import CONFIGS, ExperimentConfig
from metrics.collect import tables
from metrics.cost.bill import bill, every_policy, write_bill
from metrics.cost.prices import (
    OWN_BOARD,
    OWN_BOARDS_PRICE,
    Billing,
    FunctionPrice,
    PlacePrice,
    PriceBook,
    StorePrice,
    TrafficPrice,
    VmPrice,
)

EACH_ITS_OWN = "each platform's own"  # name of the prices of a fabric whose groups have lists of their own


def price_book(config: ExperimentConfig) -> PriceBook:
    """Return the prices and rules of a valid configuration."""
    pricing, places = config.pricing, tuple(_places(config))
    return PriceBook(
        name=EACH_ITS_OWN if places else pricing.name,
        service=pricing.service,
        region=pricing.region,
        function=_function_price(pricing.function),
        egress=TrafficPrice(**asdict(pricing.egress)),
        store=StorePrice(**asdict(pricing.store)),
        vm=VmPrice(**asdict(config.vm)),
        billing=Billing(**asdict(config.billing)),
        places=places,
    )


def _places(config: ExperimentConfig) -> Iterator[PlacePrice]:
    """Yield the price of each group of the fabric that names one."""
    for name, group in config.fabric.groups.items():
        if group.pricing is not None:
            price = OWN_BOARDS_PRICE if group.pricing == OWN_BOARD else _listed(group.pricing)
            is_aggregators = name == config.fabric.aggregator
            yield PlacePrice(group=name, pricing=group.pricing, function=price, has_aggregator=is_aggregators)


def _listed(name: str) -> FunctionPrice:
    file = OmegaConf.load(CONFIGS / "pricing" / f"{name}.yaml")
    merged: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(FunctionPriceConfig), file.function))
    return _function_price(merged)


def _function_price(prices: FunctionPriceConfig) -> FunctionPrice:
    given: dict[str, Any] = asdict(prices)
    return FunctionPrice(**{**given, "tiers": _tiers(prices.tiers)})


def _tiers(pairs: list[list[float]]) -> tuple[tuple[int, float], ...]:
    return tuple((int(memory_mb), clock_ghz) for memory_mb, clock_ghz in pairs)


def price_folder(out: Path, config: ExperimentConfig) -> list[str]:
    """Price the collected runs of a folder as configured, under every policy of machines, the configured one first.

    Returns
    -------
    list of str
        Why it could not be done, if it could not: a run is none the worse for it.
    """
    try:
        write_bill(out, bill(tables.load(out), every_policy(price_book(config))))
    except ValueError as error:
        return [f"not priced: {error}"]
    return []
