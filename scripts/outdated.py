"""Lists the pins that have newer versions: ``make outdated``.

Packages that the library itself uses come first, then those of its extras, then all that these bring along. The
versions are those that ``pip list --outdated`` (by uv where it is installed) finds in the package index. The exit
status is 0 also if there are newer ones: whether to move a pin is decided by the tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LIBRARY, EXTRA, BROUGHT = "used by the library", "used by an extra", "brought along"


def main() -> int:
    """Print a line for each pin that has a newer version; return the exit status."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
    asked = [*pip, "list", "--outdated", "--format", "json", *(["--python", sys.executable] if uv else [])]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"error: the package index gave no answer: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for line in lines(json.loads(done.stdout), project, constraints):
        print(line)
    return 0


def lines(found: Sequence[Mapping[str, Any]], project: Mapping[str, Any], constraints: str) -> list[str]:
    """Return a line for each pinned package that is outdated, those that the library itself uses first."""
    library = _names(project["dependencies"])
    extras = _names(name for group in project["optional-dependencies"].values() for name in group)
    pins = _names(line for line in constraints.splitlines() if line and not line.startswith("#"))
    kinds = {name: LIBRARY if name in library else EXTRA if name in extras else BROUGHT for name in pins}
    rows = [
        ([LIBRARY, EXTRA, BROUGHT].index(kinds[name]), name, f"{package['version']} -> {package['latest_version']}")
        for package in found
        if (name := canonicalize_name(package["name"])) in kinds
    ]
    return [f"{name:<32} {versions:<28} {kinds[name]}" for _, name, versions in sorted(rows)]


def _names(requirements: Any) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


if __name__ == "__main__":
    sys.exit(main())
