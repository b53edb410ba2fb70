"""The platform of a configuration: its keys, which not every platform has, and its settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.errors import wrong
from experiments.config.schema import ExperimentConfig

if TYPE_CHECKING:
    from serverless.platforms.registry import PlatformSettings

PLATFORMS = ("openwhisk", "openfaas", "google")
_OPENWHISK = ("namespace", "blocking_s", "invocations_per_minute", "concurrent_invocations")
_OPENFAAS = ("image", "callback_host", "destroy_after_s")
_GOOGLE = ("project", "location", "deploy_timeout_s", "destroy_after_s")
_KEYS = {"openwhisk": _OPENWHISK, "openfaas": _OPENFAAS, "google": _GOOGLE}  # beside those that all have
_NEEDED = {"openwhisk": _OPENWHISK, "openfaas": ("destroy_after_s",), "google": _GOOGLE[2:]}
_NEEDED_THERE = {"openwhisk": (), "openfaas": ("image",), "google": ("project", "location")}  # not when it is embedded
_CHOOSE = {"image": "the functions' image, with {function} for their names", "project": "the project's id"}


def platform_problems(config: ExperimentConfig) -> Iterator[str]:
    """Yield a line for each key that the platform does not have, or has and is not given."""
    platform = config.platform
    if platform.name not in PLATFORMS:
        return  # said elsewhere
    for backend in config.backends:
        if backend in PLATFORMS and backend != platform.name:
            allowed = f"{backend} runs with platform={backend}; here platform.name={platform.name}"
            yield wrong("backends", config.backends, allowed)
    own = _KEYS[platform.name]
    for key in sorted({key for keys in _KEYS.values() for key in keys} - set(own)):
        value = getattr(platform, key)
        if value is not None:
            names = " or ".join(name for name, keys in _KEYS.items() if key in keys)
            yield wrong(f"platform.{key}", value, f"is for platform={names}; here platform.name={platform.name}")
    needed = _NEEDED[platform.name] + (_NEEDED_THERE[platform.name] if platform.api_host is not None else ())
    for key in needed:
        if getattr(platform, key) is None:
            yield wrong(f"platform.{key}", None, f"is needed: {_CHOOSE.get(key, 'see conf/platform')}")
    if platform.image is not None and "{function}" not in platform.image:
        yield wrong("platform.image", platform.image, "must have {function} where the function's name goes")
    if platform.callback_host is not None and not re.fullmatch(r"[^:/@\s]+(:\d{1,5})?", platform.callback_host):
        yield wrong("platform.callback_host", platform.callback_host, "must be HOST or HOST:PORT of this machine")
    if platform.name == "google":
        yield from _google_limits(config)


def _google_limits(config: ExperimentConfig) -> Iterator[str]:
    from serverless.platforms.google.settings import TIMEOUT_MAX_S, VCPUS  # noqa: PLC0415 - only if it is asked for

    if config.platform.auth_env != "GOOGLE_APPLICATION_CREDENTIALS":
        yield wrong("platform.auth_env", config.platform.auth_env, "google-auth reads GOOGLE_APPLICATION_CREDENTIALS")
    for name in ("client", "aggregator"):
        function = getattr(config.platform, name)
        if function.memory_mb > max(VCPUS):
            yield wrong(
                f"platform.{name}.memory_mb", function.memory_mb, f"Google has functions of up to {max(VCPUS)} MB"
            )
        if function.timeout_s > TIMEOUT_MAX_S:
            yield wrong(
                f"platform.{name}.timeout_s", function.timeout_s, f"Google allows {TIMEOUT_MAX_S} seconds at most"
            )


def platform_settings(config: ExperimentConfig, in_flight: int, pool_memory_mb: int) -> PlatformSettings:
    """Return the settings of a valid configuration's platform.

    Parameters
    ----------
    in_flight
        Client invocations outstanding at once: as many containers may there be of a function.
    pool_memory_mb
        Of the embedded server's containers together, MiB.
    """
    platform, store = config.platform, config.store
    given = {key: getattr(platform, key) for key in _KEYS[platform.name]}
    common = {
        "api_host": platform.api_host,
        "auth_env": platform.auth_env,
        "verify_tls": platform.verify_tls,
        "ca_file": absolute(platform.ca_file),
        "functions_ca_file": absolute(store.functions_ca_file or store.ca_file),
        "request_timeout_s": platform.request_timeout_s,
        "pool_memory_mb": pool_memory_mb,
        **{key: value for key, value in given.items() if value is not None},
    }
    return _MAKERS[platform.name](common, in_flight)


def _openwhisk(common: dict[str, Any], in_flight: int) -> PlatformSettings:
    from serverless.platforms.openwhisk.settings import OpenWhiskSettings  # noqa: PLC0415 - only if it is asked for

    return OpenWhiskSettings(**common)


def _openfaas(common: dict[str, Any], in_flight: int) -> PlatformSettings:
    from serverless.platforms.openfaas.settings import OpenFaasSettings  # noqa: PLC0415

    return OpenFaasSettings(**common, replicas=in_flight)


def _google(common: dict[str, Any], in_flight: int) -> PlatformSettings:
    from serverless.platforms.google.settings import GoogleSettings  # noqa: PLC0415

    return GoogleSettings(**common, max_instances=in_flight)


_MAKERS: dict[str, Callable[[dict[str, Any], int], PlatformSettings]] = {
    "openwhisk": _openwhisk,
    "openfaas": _openfaas,
    "google": _google,
}


def absolute(name: str | None) -> Path | None:
    """Return a path absolute, because a backend's processes may work elsewhere."""
    return None if name is None else Path(name).expanduser().absolute()
