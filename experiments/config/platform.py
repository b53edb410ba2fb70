"""The platform of a configuration: its keys, which not every platform has, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from pathlib import Path

from experiments.config.errors import wrong
from experiments.config.schema import ExperimentConfig
from serverless.platforms.protocol import FunctionSpec
from serverless.platforms.registry import descriptor, own_keys, platforms
from serverless.platforms.settings import PlatformSettings

FABRIC = "fabric"  # the backend of functions on several platforms at once


def platform_problems(config: ExperimentConfig) -> Iterator[str]:
    """Yield a line for each key that the platform does not have, or has and is not given as it can be."""
    platform = config.platform
    if platform.name not in platforms():
        return  # said elsewhere
    for backend in config.backends:
        if backend in platforms() and backend != platform.name:
            allowed = f"{backend} runs with platform={backend}; here platform.name={platform.name}"
            yield wrong("backends", config.backends, allowed)
    chosen = descriptor(platform.name)
    for key in sorted(own_keys().keys() - chosen.own_keys.keys()):
        value = getattr(platform, key)
        if value is not None:
            names = " or ".join(name for name, other in platforms().items() if key in other.own_keys)
            yield wrong(f"platform.{key}", value, f"is for platform={names}; here platform.name={platform.name}")
    for key in chosen.needed_keys(with_address=platform.api_host is not None):
        if getattr(platform, key) is None:
            choice = chosen.needed_with_address.get(key, "see conf/platform")
            yield wrong(f"platform.{key}", None, f"is needed: {choice}")
    limits = {"client": platform.client, "aggregator": platform.aggregator}
    functions = [FunctionSpec(name, function.memory_mb, function.timeout_s) for name, function in limits.items()]
    for key, allowed in chosen.check(platform_settings(config, in_flight=1, pool_memory_mb=1), functions):
        yield wrong(f"platform.{key}", reduce(getattr, key.split("."), platform), allowed)


def platform_settings(config: ExperimentConfig, in_flight: int, pool_memory_mb: int) -> PlatformSettings:
    """Return the settings of a configuration's platform.

    Parameters
    ----------
    in_flight
        Client invocations outstanding at once: as many containers may there be of a function.
    pool_memory_mb
        Of the embedded server's containers together, MiB.
    """
    platform, store = config.platform, config.store
    chosen = descriptor(platform.name)
    given = {key: getattr(platform, key) for key in chosen.own_keys}
    return chosen.settings(
        api_host=platform.api_host,
        auth_env=platform.auth_env,
        verify_tls=platform.verify_tls,
        ca_file=absolute(platform.ca_file),
        functions_ca_file=absolute(store.functions_ca_file or store.ca_file),
        request_timeout_s=platform.request_timeout_s,
        max_containers=in_flight,
        pool_memory_mb=pool_memory_mb,
        **{key: value for key, value in given.items() if value is not None},
    )


def absolute(name: str | None) -> Path | None:
    """Return a path absolute, because a backend's processes may work elsewhere."""
    return None if name is None else Path(name).expanduser().absolute()
