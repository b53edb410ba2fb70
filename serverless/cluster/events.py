"""Pods that did not end as they should: killed for memory, evicted, never scheduled, without an image.

There are two sources. A container that the kernel killed is visible in its pod's status only, as long as the pod
exists: OpenWhisk deletes it soon, so that such an end may be missed between two looks. The others leave events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serverless.cluster.pods import role_of

# Reasons as kubelet, scheduler and node-problem-detector write them (kubernetes/kubernetes pkg/kubelet/events,
# pkg/scheduler). `Killing` is left out: every deleted pod leaves one.
_REASONS = {
    "BackOff",
    "Evicted",
    "ExceededGracePeriod",
    "Failed",
    "FailedCreatePodSandBox",
    "FailedMount",
    "FailedScheduling",
    "NodeNotReady",
    "OOMKilling",
    "Preempted",
    "TaintManagerEviction",
}
_WELL = ("Completed", None)


@dataclass(frozen=True)
class PodEvent:
    """Something that went wrong with a pod.

    Parameters
    ----------
    at
        When, by the cluster's clock, in seconds since the epoch; 0 if it did not say.
    reason
        Kubernetes' own word, such as ``OOMKilled``, ``Evicted`` or ``FailedScheduling``.
    """

    at: float
    pod: str
    role: str
    reason: str
    message: str


def ends_of_containers(pods: Iterable[Any], since: float) -> Iterator[PodEvent]:
    """Return how containers of ``V1Pod`` objects ended after ``since``, where not as they should."""
    for pod in pods:
        role = role_of(pod.metadata.name, pod.metadata.labels or {})
        if pod.status.reason in _REASONS:  # the whole pod, such as Evicted
            at = _seconds(pod.status.start_time)
            yield PodEvent(at, pod.metadata.name, role, pod.status.reason, pod.status.message or "")
        for status in pod.status.container_statuses or []:
            for state in (status.state, status.last_state):
                end = state and state.terminated
                if end and end.reason not in _WELL and _seconds(end.finished_at) >= since:
                    words = end.message or f"exit code {end.exit_code}, restarted {status.restart_count} times"
                    yield PodEvent(_seconds(end.finished_at), pod.metadata.name, role, end.reason, words)


def warnings(events: Iterable[Any], since: float) -> Iterator[PodEvent]:
    """Return the ``CoreV1Event`` objects after ``since`` that report a problem of a pod."""
    for event in events:
        at = _seconds(event.last_timestamp or (event.series and event.series.last_observed_time) or event.event_time)
        if event.reason in _REASONS and event.involved_object.kind == "Pod" and at >= since:
            name = event.involved_object.name
            labels = {"user-action-pod": "true"} if name.startswith("wsk") else {}  # an event has no labels of its pod
            yield PodEvent(at, name, role_of(name, labels), event.reason, event.message or "")


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
