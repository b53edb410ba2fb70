"""Whether the authorities and credentials of a configuration can be used, and used safely.

A value that may be a credential in the wrong place is never repeated: what is refused here ends up on a terminal.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from experiments.config.errors import wrong
from experiments.config.schema import ExperimentConfig
from machine.credentials import is_variable
from serverless.platforms.registry import platforms


def access_problems(config: ExperimentConfig) -> Iterator[str]:
    """Yield a line for each key by which platform or store could not be reached, or not safely."""
    platform, store = config.platform, config.store
    if platform.ca_file is not None and not platform.verify_tls:
        yield wrong("platform.verify_tls", False, "contradicts platform.ca_file; give one of them")
    for key, name in (
        ("platform.ca_file", platform.ca_file),
        ("store.ca_file", store.ca_file),
        ("store.functions_ca_file", store.functions_ca_file),
    ):
        yield from _authorities(key, name)
    if not store.secure and (store.ca_file or store.functions_ca_file):
        yield wrong("store.secure", store.secure, "must be true for store.ca_file to mean anything")
    for key, variable in credential_variables(config).items():
        yield from _credential(key, variable)


def credential_variables(config: ExperimentConfig) -> dict[str, str | None]:
    """Return the keys that name the environment variables with this run's credentials, and those names."""
    names: dict[str, str | None] = {}
    if config.platform.api_host is not None:
        names["platform.auth_env"] = config.platform.auth_env
    if config.store.name == "minio":
        names["store.access_key_env"] = config.store.access_key_env
        names["store.secret_key_env"] = config.store.secret_key_env
    return names


def withheld(config: ExperimentConfig, *, uses_platform: bool) -> frozenset[str]:
    """Return the environment variables with credentials that a run has no use for, those of other platforms too."""
    named = (
        *(platform.settings.auth_env for platform in platforms().values()),
        config.platform.auth_env,
        config.store.access_key_env,
        config.store.secret_key_env,
        config.register.password_env,
    )
    used = {*credential_variables(config).values(), config.register.password_env} if uses_platform else set()
    return frozenset(name for name in named if name and name not in used)


def register_problems(config: ExperimentConfig) -> Iterator[str]:
    """Yield what keeps the register of clients from being opened; nothing is connected to."""
    register = config.register
    if register.url is None:
        return
    from serverless.register.database import RegisterError, database_url  # noqa: PLC0415 - SQLAlchemy: 0.2 s

    if register.password_env is not None and not is_variable(register.password_env):
        yield from _credential("register.password_env", register.password_env)
        return
    try:
        url = database_url(register.url, register.password_env)
    except RegisterError as error:
        yield f"register.url: {error}"
        return
    if url.get_backend_name() != register.name:
        yield wrong("register.url", url.render_as_string(), f"is for register={url.get_backend_name()}")


def _authorities(key: str, name: str | None) -> Iterator[str]:
    if name is None:
        return
    path = Path(name).expanduser()
    try:
        ssl.create_default_context(cafile=str(path))
    except FileNotFoundError:
        yield wrong(key, name, "there is no such file; name a PEM file of the authorities to trust, or null")
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        yield wrong(key, name, "contains no certificate; it must be a PEM file of the authorities to trust")


def _credential(key: str, variable: str | None) -> Iterator[str]:
    if not variable or not is_variable(variable):
        yield (
            f"{key}: must be the name of an environment variable (capitals, digits, _) with the credential; "
            "the given value is not one, and it is not shown here because it may be the credential itself"
        )
    elif not os.environ.get(variable):
        yield wrong(key, variable, "must name an environment variable with the credential; this one is not set")
