"""The platforms by name: those of this package, and those that installed packages add by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from serverless.platforms.descriptor import PlatformDescriptor, load
from serverless.platforms.protocol import Platform, PlatformError
from serverless.platforms.settings import PlatformSettings

ENTRY_POINTS = "serverless_fl_bench.platforms"  # a package elsewhere names its descriptor in this group
_FOLDERS = (
    "openwhisk",
    "openfaas",
    "google",
)


@cache
def platforms() -> Mapping[str, PlatformDescriptor]:
    """Return the descriptor of every platform by its name.

    Raises
    ------
    PlatformError
        If an entry point names something else than a descriptor, two platforms have one name, or two have an own key of
        one name and of different types.
    """
    own = [import_module(f"serverless.platforms.{folder}.descriptor").DESCRIPTOR for folder in _FOLDERS]
    others = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
    found: dict[str, PlatformDescriptor] = {}
    types: dict[str, Any] = {}
    for descriptor in (*own, *(entry.load() for entry in others)):
        if not isinstance(descriptor, PlatformDescriptor):
            raise PlatformError(f"an entry point of {ENTRY_POINTS} names {descriptor!r}, not a PlatformDescriptor")
        if found.setdefault(descriptor.name, descriptor) is not descriptor:
            raise PlatformError(f"two platforms have the name {descriptor.name!r}: rename one of them")
        for key, kind in descriptor.own_keys.items():
            if types.setdefault(key, kind) is not kind:
                raise PlatformError(f"platform {descriptor.name!r}: another one has a key {key!r} of another type")
    return found


def own_keys() -> dict[str, Any]:
    """Return the own keys of all platforms and their types."""
    return {key: kind for descriptor in platforms().values() for key, kind in descriptor.own_keys.items()}


def descriptor(name: str) -> PlatformDescriptor:
    """Return a platform's descriptor; raises :class:`PlatformError` if there is no such platform."""
    if name not in platforms():
        raise PlatformError(f"there is no platform {name!r}; known are {', '.join(platforms())}")
    return platforms()[name]


def open_platform(settings: PlatformSettings, log_path: Path) -> AbstractContextManager[Platform]:
    """Open a platform by its settings, for the time of the context.

    Parameters
    ----------
    log_path
        Log of the embedded server, if there is to be one.

    Raises
    ------
    PlatformError
        If there is no such platform. The platform says what else is missing: packages, credentials, addresses.
    """
    opens: Callable[[PlatformSettings, Path], AbstractContextManager[Platform]]
    opens = load(descriptor(settings.name).opens)
    return opens(settings, log_path)
