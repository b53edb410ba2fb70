"""What a cluster told of a run: kept in its folder while it goes on, and as JSON in ``runs.cluster``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from machine.files import write_whole

_FILE = "cluster.json"


def write_cluster(directory: Path, facts: dict[str, Any]) -> None:
    """Keep what is known of the cluster so far in a run's folder."""
    write_whole(directory / _FILE, (json.dumps(facts, sort_keys=True) + "\n").encode())


def read_cluster(directory: Path) -> str | None:
    """Return the JSON text for ``runs.cluster``; ``None`` if no cluster was watched."""
    path = directory / _FILE
    return path.read_text(encoding="utf-8").strip() if path.exists() else None
