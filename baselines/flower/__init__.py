"""Flower as a backend: a normal Flower app, and the adapter that starts a federation to run it.

A name is imported at its first use: the small process that cleans up (:mod:`.processes`) must not import all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baselines.flower.adapter import run
    from baselines.flower.failures import FlowerError
    from baselines.flower.settings import FlowerSettings

__all__ = ["FlowerError", "FlowerSettings", "run"]
_MODULES = {"FlowerError": "failures", "FlowerSettings": "settings", "run": "adapter"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
