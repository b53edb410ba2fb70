"""What a cluster reported about a run: kept in the run's folder while it goes on, and as JSON in ``runs.cluster``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from machine.files import write_whole

_FILE = "cluster.json"
Facts = Mapping[str, str | float | None]


class PodTrouble(TypedDict):
    """Something that went wrong with a pod; ``at`` is in seconds since the epoch by the cluster's clock."""

    at: float
    pod: str
    role: str
    reason: str
    message: str


class ClusterFacts(TypedDict):
    """What is known of a cluster; the first three are missing if it was never reached."""

    kubernetes: NotRequired[str | None]
    nodes: NotRequired[list[Facts]]
    openwhisk: NotRequired[Facts | None]
    images: dict[str, str]  # image -> digest
    requested: dict[str, Facts]  # role -> what its pods requested from the scheduler
    events: list[PodTrouble]
    notes: list[str]  # what the cluster did not report
    watch: Facts


def write_cluster(directory: Path, facts: ClusterFacts) -> None:
    """Keep what is known of the cluster so far in a run's folder."""
    write_whole(directory / _FILE, (json.dumps(facts, sort_keys=True) + "\n").encode())


def read_cluster(directory: Path) -> str | None:
    """Return the JSON text for ``runs.cluster``; ``None`` if no cluster was watched."""
    path = directory / _FILE
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def parse_cluster(text: str) -> ClusterFacts:
    """Return what a text in ``runs.cluster`` says."""
    return cast(ClusterFacts, json.loads(text))
