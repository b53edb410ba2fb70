"""Importing a large package without what it imports only if it is there, and what nobody has asked for yet."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


@contextmanager
def lean_import(*hidden: str, lazy: str | None = None) -> Iterator[None]:
    """Hide packages from the imports of this thread, and import without collecting garbage, while the block runs.

    A hidden package cannot be imported, as if it were not installed; one that was imported before stays. Nothing is
    left behind: the package can be imported afterwards. Other threads see everything, because they may import a hidden
    package for their own use at the same moment. Garbage collection takes a tenth of a large import and finds nothing:
    what is imported stays, and so later collections do not look at it either.

    Parameters
    ----------
    hidden
        Names of top-level packages.
    lazy
        A package whose modules are loaded when something in them is first asked for, be it after the block. Ask for it
        in one thread first: a module that is being loaded is not yet whole for the others.
    """
    finders: list[MetaPathFinder] = [_Hidden(frozenset(hidden) - sys.modules.keys())]
    if lazy:
        finders.append(_Lazy(f"{lazy}."))
    collects = gc.isenabled()
    sys.meta_path[:0] = finders
    gc.disable()
    try:
        yield
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        gc.freeze()
        if collects:
            gc.enable()


class _Hidden(MetaPathFinder, Loader):
    """Finds packages that cannot be loaded. A finder that raised would also break those who only look for a package."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what :meth:`create_module` refuses, or ``None``: others may look."""
        return ModuleSpec(name, self) if name in self._names and threading.get_ident() == self._thread else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Refuse.

        Raises
        ------
        ModuleNotFoundError
            Always.
        """
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is no module."""


class _Lazy(MetaPathFinder):
    """Finds the modules below a package, to be loaded later."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own place with a loader that waits, or ``None``: others may look."""
        if not name.startswith(self._prefix) or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec
