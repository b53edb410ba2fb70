"""The platforms by name; nothing of one is imported before it is opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol

from serverless.platforms.protocol import Platform, PlatformError

_OPENERS = {
    "openwhisk": "serverless.platforms.openwhisk.deploy:open_openwhisk",
    "openfaas": "serverless.platforms.openfaas.deploy:open_platform",
    "google": "serverless.platforms.google.deploy:open_platform",
}
PLATFORMS = tuple(_OPENERS)


class PlatformSettings(Protocol):
    """The settings of some platform: those in the ``config`` module of its folder."""

    @property
    def name(self) -> str:
        """Which platform it is."""

    @property
    def api_host(self) -> str | None:
        """Its address; ``None`` if it is embedded."""

    @property
    def request_timeout_s(self) -> float:
        """Seconds to wait for an answer, beyond a function's own time limit."""


def open_platform(settings: PlatformSettings, log_path: Path) -> AbstractContextManager[Platform]:
    """Open a platform by its settings, for the time of the context.

    Parameters
    ----------
    log_path
        Log of the embedded server, if there is to be one.

    Raises
    ------
    PlatformError
        If there is no such platform. What opening it takes is said there: missing packages, credentials, addresses.
    """
    if settings.name not in _OPENERS:
        raise PlatformError(f"there is no platform {settings.name!r}; known are {', '.join(PLATFORMS)}")
    module, _, opener = _OPENERS[settings.name].partition(":")
    opens: Callable[[PlatformSettings, Path], AbstractContextManager[Platform]]
    opens = getattr(import_module(module), opener)
    return opens(settings, log_path)
