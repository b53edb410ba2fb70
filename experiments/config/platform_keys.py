"""The own keys of platforms in the schema: a platform declares them in its settings, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, make_dataclass
from typing import Any, TypeVar

from experiments.config.bounds import Count, Positive, Seconds
from experiments.config.formats import HostPort
from serverless.platforms.registry import own_keys

Section = TypeVar("Section")

# Null or not, these keys of the first platforms are part of a run's id: without them every finished run of everybody
# would look like another configuration. Keys of later platforms are part of it where they are given.
_IN_EVERY_GROUP = frozenset({"namespace", "image", "callback_host", "project", "location"})
_IN_EVERY_PLATFORM = _IN_EVERY_GROUP | {
    "blocking_s",
    "deploy_timeout_s",
    "destroy_after_s",
    "invocations_per_minute",
    "concurrent_invocations",
}


def with_platform_keys(section: type[Section]) -> type[Section]:
    """Return a section of the schema with the own keys of every platform, each null unless it is given."""
    names = {"__module__": section.__module__, "__doc__": section.__doc__}
    own = [(key, _bounded(key, kind) | None, field(default=None)) for key, kind in own_keys().items()]
    return make_dataclass(section.__name__, own, bases=(section,), namespace=names)


def _bounded(key: str, kind: Any) -> Any:
    """Return the type with the bounds of all such values; the platform itself may check narrower ones."""
    if kind is str and key.endswith("_host"):
        return HostPort
    return {int: Count, float: Seconds if key.endswith("_s") else Positive}.get(kind, kind)


def drop_later_nulls(values: dict[str, Any]) -> None:
    """Take the null keys of later platforms out of a whole configuration in plain types."""
    for section, always in _sections(values):
        for key in own_keys().keys() - always:
            if section[key] is None:
                del section[key]


def _sections(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    yield values["platform"], _IN_EVERY_PLATFORM
    for group in values["fabric"]["groups"].values():
        yield group, _IN_EVERY_GROUP
