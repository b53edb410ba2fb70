"""The Python environment of the embedded containers: what the functions' image has, and nothing else of this one."""

from __future__ import annotations

import csv
import itertools
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class _Builder(venv.EnvBuilder):
    """Makes an environment without scripts to activate it, which nobody needs and which others could read."""

    def setup_scripts(self, context: SimpleNamespace) -> None:
        """Write none."""


def link_environment(folder: Path, packages: Iterable[str]) -> Path:
    """Make a virtual environment that has some of this one's packages, and return its interpreter.

    Its packages are links to those that are installed here, with their compiled bytecode: it is made in a moment and
    takes no space, it imports the same files, and what it has no link to cannot be imported in it.

    Parameters
    ----------
    folder
        Where it is made.
    packages
        Names of distributions; what these require comes with them. One that is not installed here is left out, and a
        function that imports it fails as it would in an image without it.

    Raises
    ------
    OSError
        If it cannot be made.
    ValueError
        If a package was installed without a list of its files.
    """
    builder = _Builder(symlinks=True)
    builder.create(folder)
    context = builder.ensure_directories(folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    for installed in _with_requirements(packages):
        for path in set(_own(installed)):
            link = site_packages / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(str(installed.locate_file(path)))
        bytecode = site_packages / "__pycache__"  # of modules that are in no package
        if not bytecode.is_symlink():
            bytecode.symlink_to(str(installed.locate_file("__pycache__")))
    return Path(context.env_exe)


def _with_requirements(names: Iterable[str]) -> list[Distribution]:
    """Return the distributions of these names, and all that they require here, without extras."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, found[name].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())


def _own(installed: Distribution) -> Iterator[str]:
    """Yield what to link: packages as whole folders, but what shares a folder with others (``google``) file by file."""
    record = installed.read_text("RECORD")
    if record is None:
        raise ValueError(
            f"{installed.name} was installed without a list of its files (RECORD), so the embedded containers cannot "
            "be given it: install the project with pip or uv into an environment of its own (make venv)"
        )
    files = {row[0] for row in csv.reader(record.splitlines())}
    for file in files:
        folders = list(itertools.accumulate(file.split("/")[:-1], "{}/{}".format))
        if not file.startswith(("/", "..", "__pycache__")):
            yield next((folder for folder in folders if f"{folder}/__init__.py" in files), file)
