"""Importing a large package without what it imports only if it is there."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def lean_import(*hidden: str) -> Iterator[None]:
    """Hide packages from the imports of this thread, and import without collecting garbage, while the block runs.

    A hidden package cannot be imported, as if it were not installed; one that was imported before stays. Nothing is
    left behind: the package can be imported afterwards. Other threads see everything, because they may import a hidden
    package for their own use at the same moment. Garbage collection takes a tenth of a large import and finds nothing:
    what is imported stays, and so later collections do not look at it either.

    Parameters
    ----------
    hidden
        Names of top-level packages.
    """
    finder, collects = _Hidden(frozenset(hidden) - sys.modules.keys()), gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
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
