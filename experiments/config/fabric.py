"""The fabric of a configuration: what is wrong with its groups, and a platform's settings for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from experiments.config.backend_settings import Placement, in_flight, serverless
from experiments.config.connections import access_problems
from experiments.config.errors import one_of, wrong
from experiments.config.overrides import options
from experiments.config.platform import FABRIC, platform_problems, platform_settings
from experiments.config.schema import CONFIGS, ExperimentConfig, GroupConfig, PlatformConfig
from metrics.cost.prices import OWN_BOARD
from serverless.emulator.containers.cpu_shares import available
from serverless.fabric.groups import Fabric, Group
from serverless.fabric.settings import FabricSettings, SiteSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.platforms.registry import descriptor, platforms
from serverless.platforms.settings import Pace

if TYPE_CHECKING:
    from serverless.settings import ServerlessSettings

_PRICED_AS = "pricing"  # a key of the group that says nothing of how it runs
_OF_THE_GROUP = ("platform", "clients", "memory_mb", "cpu_share", "network_delay_s", "cold_start_delay_s")


_NOT_THE_PLATFORMS = (*_OF_THE_GROUP, _PRICED_AS)


def fabric_problems(config: ExperimentConfig) -> Iterator[str]:
    """Yield a line for each thing that keeps a federation from running on the groups of ``config``."""
    fabric = config.fabric
    if not fabric.groups:
        if FABRIC in config.backends:
            yield wrong("fabric", fabric.name, "has no groups; backends=[fabric] needs some, such as fabric=paper")
        return
    if FABRIC not in config.backends:
        yield wrong("fabric", fabric.name, "is for backends=[fabric], alone or beside others; use fabric=none without")
    for name, group in fabric.groups.items():
        yield from _group_problems(f"fabric.groups.{name}", group, config.clients)
    if fabric.aggregator not in fabric.groups:
        yield one_of("fabric.aggregator", fabric.aggregator, fabric.groups)
    yield from _reaching(config)
    total = sum(group.clients for group in fabric.groups.values())
    if total != config.clients:
        sizes = " + ".join(str(group.clients) for group in fabric.groups.values())
        yield wrong("clients", config.clients, f"the groups of fabric={fabric.name} have {sizes} = {total} clients")


def _reaching(config: ExperimentConfig) -> Iterator[str]:
    """Yield what keeps the real platforms among the groups from being reached."""
    for key, alone in platforms_of(config):
        if alone.platform.api_host is not None:
            for problem in (*platform_problems(alone), *access_problems(alone)):
                yield f"{key}: {problem}"
            if config.store.name == "directory":
                allowed = f"functions at {key}.api_host cannot read this machine's files; use store=minio"
                yield wrong("store.name", config.store.name, allowed)


def _group_problems(key: str, group: GroupConfig, clients: int) -> Iterator[str]:
    if group.platform not in platforms():
        yield one_of(f"{key}.platform", group.platform, platforms())
    lists = (OWN_BOARD, *options("pricing"))
    if group.pricing is not None and group.pricing not in lists:
        yield one_of(f"{key}.pricing", group.pricing, lists)
    if group.clients > clients:
        yield wrong(f"{key}.clients", group.clients, f"is more than the partition has: clients={clients}")
    if group.api_host is not None:
        for name in ("cpu_share", "network_delay_s", "cold_start_delay_s"):
            if getattr(group, name):
                allowed = "is for local platforms; a real one is as fast and as far as it is: null or 0"
                yield wrong(f"{key}.{name}", getattr(group, name), allowed)


def platforms_of(config: ExperimentConfig) -> Iterator[tuple[str, ExperimentConfig]]:
    """Yield each group's key, and the configuration as if its platform were the only one."""
    for name, group in config.fabric.groups.items():
        if group.platform in platforms():
            yield f"fabric.groups.{name}", replace(config, platform=_platform(group), backends=[group.platform])


def _platform(group: GroupConfig) -> PlatformConfig:
    """Return a platform's own file with what the group says over it."""
    given = {key: value for key, value in asdict(group).items() if key not in _NOT_THE_PLATFORMS and value is not None}
    limits = {"client": {"memory_mb": group.memory_mb}}
    chosen = descriptor(group.platform).options
    file = OmegaConf.load(chosen or CONFIGS / "platform" / f"{group.platform}.yaml")
    merged: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PlatformConfig), file, given, limits))
    assert isinstance(merged, PlatformConfig)
    return merged


def fabric_settings(config: ExperimentConfig, out_at_once: int) -> FabricSettings | None:
    """Return the fabric of a valid configuration; ``None`` if it has none."""
    if not config.fabric.groups:
        return None
    sites = tuple(_site(name, config, out_at_once) for name in config.fabric.groups)
    groups = tuple(site.group for site in sites)
    fabric = Fabric(config.fabric.name, groups, aggregator=str(config.fabric.aggregator))
    return FabricSettings(fabric, sites, _enforcement())


def fabric_run(config: ExperimentConfig, directory: Path) -> ServerlessSettings:
    """Return the settings of the function keeper on a fabric."""
    return replace(serverless(config, directory), fabric=fabric_settings(config, in_flight(config)))


def on_a_fabric(config: ExperimentConfig) -> Placement:
    """Return where the functions of a fabric run; one local platform makes the whole an emulation."""
    local = [group.api_host is None for group in config.fabric.groups.values()]
    runtime = "embedded" if all(local) else "mixed" if any(local) else "cluster"
    return Placement(
        platform=f"fabric {config.fabric.name}",
        emulated=any(local),
        runtime=runtime,
        store=config.store.name,
        workers=in_flight(config),
    )


def _site(name: str, config: ExperimentConfig, out_at_once: int) -> SiteSettings:
    group = config.fabric.groups[name]
    alone = replace(config, platform=_platform(group))
    pool_mb = out_at_once * group.memory_mb + config.platform.aggregator.memory_mb
    settings: Any = platform_settings(alone, out_at_once, pool_mb)
    if group.api_host is None:
        pace = Pace(group.cpu_share, _enforcement(), group.cold_start_delay_s)
        settings = replace(settings, pace=pace)
    values = {key: getattr(group, key) for key in _OF_THE_GROUP}
    limits = alone.platform.client
    return SiteSettings(Group(name, **values), settings, FunctionSpec("client", limits.memory_mb, limits.timeout_s))


@cache
def _enforcement() -> Any:
    return asyncio.run(available())
