"""From rates that metrics-server has averaged to CPU seconds.

metrics-server reads each container's CPU counter at intervals and serves the difference of the last two readings,
divided by the time between them (``window``), with the time of the later one (``timestamp``). Consecutive windows
adjoin, so rate x window, summed over distinct timestamps, is the counter's growth, from the first window that was seen
on. What a container used before its second reading, or between its last one and its end, is in no window: the sum is
a lower bound.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from metrics.collect.row_types import SampleRow
from serverless.cluster.pods import Pod, quantity

SOURCE = "metrics.k8s.io"
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([\d.]+)(ms|us|µs|ns|h|m|s)")
Key = tuple[str, str]


@dataclass(frozen=True)
class PodUsage:
    """A pod's entry in an answer of metrics.k8s.io: ``cpu_cores`` is the mean over ``window_s`` up to ``at``."""

    key: Key
    at: float
    window_s: float
    cpu_cores: float
    working_set_bytes: int


def read_usage(item: Mapping[str, Any]) -> PodUsage:
    """Read a ``PodMetrics``.

    Raises
    ------
    KeyError, ValueError
        If it is not one.
    """
    containers = [container["usage"] for container in item["containers"]]
    return PodUsage(
        key=(item["metadata"]["namespace"], item["metadata"]["name"]),
        at=datetime.fromisoformat(item["timestamp"]).timestamp(),
        window_s=go_duration_s(item["window"]),
        cpu_cores=sum(quantity(usage["cpu"]) for usage in containers),
        working_set_bytes=round(sum(quantity(usage["memory"]) for usage in containers)),
    )


def go_duration_s(text: str) -> float:
    """Return the seconds of a duration as Go writes it.

    Examples
    --------
    >>> go_duration_s("1m15.5s"), go_duration_s("200ms")
    (75.5, 0.2)
    """
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise ValueError(f"{text!r} is no duration such as 15.2s")
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


@dataclass
class UsageAccount:
    """CPU seconds by role, since ``started_at`` (seconds since the epoch).

    Of a window that began before, the later part counts.
    """

    started_at: float
    cpu_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _last: dict[Key, float] = field(default_factory=dict)

    def rows(self, run_id: str, sampled_at: float, pods: Iterable[Pod], usages: Iterable[PodUsage]) -> list[SampleRow]:
        """Take in what the cluster says at a moment, and return a row per role that was ever seen."""
        living = {(pod.namespace, pod.name): pod for pod in pods if pod.is_running}
        memory: Counter[str] = Counter()
        for usage in usages:
            pod = living.get(usage.key)
            if pod is not None:
                self._add(pod.role, usage)
                memory[pod.role] += usage.working_set_bytes
        return [
            SampleRow(
                run_id=run_id,
                sampled_at=sampled_at,
                role=role,
                cpu_s=float(cpu_s),
                rss_bytes=memory[role],
                source=SOURCE,
                **requested([pod for pod in living.values() if pod.role == role]),
            )
            for role, cpu_s in sorted(self.cpu_s.items())
        ]

    def _add(self, role: str, usage: PodUsage) -> None:
        """Count a window once, however often it is served."""
        if usage.at > self._last.get(usage.key, 0.0):
            self._last[usage.key] = usage.at
            inside_s = min(usage.window_s, max(0.0, usage.at - self.started_at))
            self.cpu_s[role] += usage.cpu_cores * inside_s


def requested(pods: Sequence[Pod]) -> dict[str, Any]:
    """Return how many pods there are (``processes``), and the sums of what those that ask for anything ask for."""
    cores = [pod.requested_cpu_cores for pod in pods if pod.requested_cpu_cores is not None]
    memory = [pod.requested_memory_bytes for pod in pods if pod.requested_memory_bytes is not None]
    return {
        "processes": len(pods),
        "requested_cpu_cores": sum(cores) if cores else None,
        "requested_memory_bytes": sum(memory) if memory else None,
    }
