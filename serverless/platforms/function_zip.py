"""Packs a function into the zip that a platform takes.

The zip holds the wrapper as ``__main__.py`` and the few modules of ours that it needs. Equal sources give equal bytes,
so that a platform's copy can be compared by hash.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from serverless.functions.engine import ENGINE
from serverless.functions.over_http import TRUSTED
from serverless.functions.store_limit import STORE
from task.models import EngineName

ROOT = Path(__file__).resolve().parents[2]
_SHIPPED = (
    "machine/__init__.py",
    "machine/cgroups.py",
    "machine/clocks.py",
    "machine/files.py",
    "machine/handover.py",
    "machine/http_chunks.py",
    "machine/json_values.py",
    "metrics/__init__.py",
    "metrics/collect/__init__.py",
    "metrics/collect/probe.py",
    "metrics/collect/worker_cgroup.py",
    "serverless/__init__.py",
    "serverless/functions/**/*.py",
    "task/**/*.py",
)
# What the functions import; scripts/runtime/requirements.txt lists the same for their image.
IMPORTED = ("numpy", "requests", "safetensors", "tensorflow", "threadpoolctl", "urllib3")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


def package(
    wrapper: str,
    trusted: Path | None = None,
    engine: EngineName | None = None,
    entry: str = "__main__.py",
    files: Mapping[str, str] | None = None,
    store: str | None = None,
) -> bytes:
    """Return the zip of a function.

    Parameters
    ----------
    wrapper
        File below ``serverless/functions``, without its ending, that becomes the ``entry``, e.g. ``openwhisk/client``.
    trusted
        PEM file of the authorities that the function is to trust when it reaches the object store; ``None``: those of
        its image.
    engine
        What a cold start imports; ``None``: nothing before there is work.
    entry
        Name of the file that the platform runs.
    files
        What else the platform wants beside it, by name, such as ``requirements.txt``.
    store
        Address of the one object store that the function may reach, see :func:`serverless.storage.address`; ``None``:
        none at all.

    Raises
    ------
    OSError
        If ``trusted`` cannot be read.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, entry, ROOT / "serverless" / "functions" / f"{wrapper}.py")
        for path in sorted(path for pattern in _SHIPPED for path in ROOT.glob(pattern)):
            _add(archive, path.relative_to(ROOT).as_posix(), path)
        if trusted is not None:
            _add(archive, TRUSTED, trusted)
        if engine is not None:
            _write(archive, ENGINE, f"{engine}\n".encode())
        if store is not None:
            _write(archive, STORE, f"{store}\n".encode())
        for name, content in sorted((files or {}).items()):
            _write(archive, name, content.encode())
    return buffer.getvalue()


def requirements(*more: str) -> str:
    """Return a ``requirements.txt``: what functions import, and ``more``, in the versions that are installed here."""
    lines = []
    for name in sorted((*IMPORTED, *more)):
        try:
            lines.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            lines.append(name)
    return "\n".join([*lines, ""])


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    _write(archive, name, path.read_bytes())


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
