"""What the rest of the project knows of a platform before it is opened; light to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from serverless.platforms.settings import PlatformSettings

if TYPE_CHECKING:
    from serverless.platforms.protocol import FunctionSpec

Problem = tuple[str, str]  # a key below ``platform``, such as client.memory_mb, and what it may be


def no_problems(settings: Any, functions: Sequence[FunctionSpec]) -> Iterator[Problem]:
    """Find nothing wrong: for platforms without limits that are known beforehand."""
    return iter(())


@dataclass(frozen=True)
class PlatformDescriptor:
    """One platform.

    Parameters
    ----------
    settings
        Class of its settings. The fields that it adds to those of all platforms are the platform's own keys in
        ``conf/platform``: texts or numbers. A key whose type allows ``None`` may be null; the others must be given.
    opens
        ``"module:function"`` that takes settings and the path of a log, and returns a context manager for a
        :class:`~serverless.platforms.protocol.Platform`. The module is imported when the platform is opened.
    needed_with_address
        Own keys that must be given for a real deployment and for no embedded one, with what to write there.
    check
        From the settings and the specifications of the functions to what the platform would refuse.
    functions_may_invoke
        Whether a function can be given a key to invoke others with, as ``topology=fedkeeper`` needs.
    examines
        ``"module:function"`` of its preflight, as ``serverless.preflight.checklist.examine``; ``None``: it has none.
    options
        YAML file of its keys; ``None``: ``conf/platform/NAME.yaml``. For platforms outside this repository.
    """

    settings: type[PlatformSettings]
    opens: str
    needed_with_address: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Any, Sequence[FunctionSpec]], Iterator[Problem]] = no_problems
    functions_may_invoke: bool = False
    examines: str | None = None
    options: Path | None = None

    @property
    def name(self) -> str:
        """What ``platform.name`` and ``backends`` call it, and the rows of its runs."""
        return self.settings.name

    @cached_property
    def own_keys(self) -> dict[str, Any]:
        """Its own keys and their types, without ``None``."""
        common = {setting.name for setting in fields(PlatformSettings)}
        hints = get_type_hints(self.settings)
        return {key.name: _without_none(hints[key.name]) for key in fields(self.settings) if key.name not in common}

    def needed_keys(self, *, with_address: bool) -> tuple[str, ...]:
        """Return the own keys that must not be null."""
        hints = get_type_hints(self.settings)
        always = (key for key in self.own_keys if key not in self.needed_with_address)
        needed = [key for key in always if NoneType not in get_args(hints[key])]
        return (*needed, *(self.needed_with_address if with_address else ()))


def _without_none(hint: Any) -> Any:
    return next((option for option in get_args(hint) if option is not NoneType), hint)


def load(reference: str) -> Any:
    """Import a module and return what a reference such as ``"package.module:function"`` names in it."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
