"""Where a run took place: the code, the packages and the machine, as columns of its row in ``runs``."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from machine.cgroups import cgroup_limits
from machine.resources import affinity_cores, cpu_model

PACKAGES = (
    "flwr",
    "hydra-core",
    "keras",
    "minio",
    "numpy",
    "pandas",
    "protobuf",
    "psutil",
    "pyarrow",
    "ray",
    "requests",
    "safetensors",
    "serverless-fl-bench",
    "tensorflow",
    "threadpoolctl",
)

RESULTS = "results"  # the folder at the top of the repository that experiments write into


@dataclass(frozen=True)
class Provenance:
    """What must be known of code and machine to repeat a run, or to explain why it came out differently.

    Parameters
    ----------
    commit, dirty
        Git revision of the code and whether tracked files differ from it, results aside, which an experiment that is
        made anew changes; ``None`` outside a repository.
    packages
        JSON object, name -> version, of the installed packages that the results lean on.
    cores
        Logical cores that this process may be scheduled on (its affinity mask).
    memory_bytes
        Physical memory of the machine.
    cgroup_cpu_cores, cgroup_memory_bytes
        The tightest limit that a control group puts on this process; ``None`` if there is none.
    """

    commit: str | None
    dirty: bool | None
    python_version: str
    packages: str
    os: str
    cpu_model: str
    cores: int
    memory_bytes: int
    cgroup_cpu_cores: float | None
    cgroup_memory_bytes: int | None


def collect_provenance(repository: Path) -> Provenance:
    """Describe the code in ``repository`` and this machine.

    Parameters
    ----------
    repository
        The top folder of the working tree whose commit is asked for; where it is not one, there is none.
    """
    limits, is_own = cgroup_limits(), _is_own(repository)
    return Provenance(
        commit=_git(repository, "rev-parse", "HEAD") if is_own else None,
        dirty=_is_dirty(repository) if is_own else None,
        python_version=platform.python_version(),
        packages=json.dumps(package_versions(PACKAGES)),
        os=platform.platform(),
        cpu_model=cpu_model(),
        cores=affinity_cores(),
        memory_bytes=psutil.virtual_memory().total,
        cgroup_cpu_cores=limits.cpu_cores,
        cgroup_memory_bytes=limits.memory_bytes,
    )


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those of ``names`` that are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _is_own(folder: Path) -> bool:
    """Whether the folder is the top of a repository: an unpacked archive may lie inside somebody else's."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    return top is not None and Path(top).resolve() == folder.resolve()


def _is_dirty(repository: Path) -> bool | None:
    changes = _git(
        repository, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", f":(top,exclude){RESULTS}"
    )
    return None if changes is None else changes != ""


def _git(repository: Path, *arguments: str) -> str | None:
    try:
        # a repository of another user is refused by git ("dubious ownership"), which is no reason to fail
        answer = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
