"""What a cluster told of a run: kept in its folder while it goes on, and as JSON in ``runs.cluster``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from metrics.files import write_whole

_FILE = "cluster.json"


def write_cluster(directory: Path, facts: dict[str, Any]) -> None:
    """Keep what is known of the cluster so far in a run's folder."""
    write_whole(directory / _FILE, (json.dumps(facts, sort_keys=True) + "\n").encode())


def read_cluster(directory: Path) -> str | None:
    """Return the JSON text for ``runs.cluster``; ``None`` if no cluster was watched."""
    path = directory / _FILE
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def tell_cluster(runs: pd.DataFrame) -> list[tuple[str, bool | None]]:
    """Say in a line per kind of trouble what befell pods, and what the cluster did not tell; nothing without one."""
    watched = [json.loads(text) for text in runs.get("cluster", pd.Series(dtype="object")).dropna()]
    if not watched:
        return []
    versions = ", ".join(sorted({facts.get("kubernetes") or "an unknown version" for facts in watched}))
    events = Counter(event["reason"] for facts in watched for event in facts["events"])
    told = ", ".join(f"{reason} {count}" for reason, count in events.most_common()) or "no pod in trouble"
    lines: list[tuple[str, bool | None]] = [(f"cluster (Kubernetes {versions}): {told}", None if events else True)]
    return lines + [(f"cluster: {note}", None) for note in _distinct(watched)]


def _distinct(watched: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(note for facts in watched for note in facts["notes"]))
