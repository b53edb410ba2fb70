"""What is kept of a cluster in ``runs.cluster``: one JSON object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metrics.collect.cluster_facts import Facts
from serverless.cluster.pods import MACHINERY, Pod, quantity
from serverless.cluster.usage import requested


def node_facts(node: Any) -> Facts:
    """Return what a ``V1Node`` has and runs; what pods may ask for is ``allocatable``."""
    info, capacity, allocatable = node.status.node_info, node.status.capacity, node.status.allocatable
    return {
        "name": node.metadata.name,
        "cpu_cores": quantity(capacity["cpu"]),
        "memory_bytes": round(quantity(capacity["memory"])),
        "allocatable_cpu_cores": quantity(allocatable["cpu"]),
        "allocatable_memory_bytes": round(quantity(allocatable["memory"])),
        "architecture": info.architecture,
        "os": info.os_image,
        "kernel": info.kernel_version,
        "kubelet": info.kubelet_version,
        "container_runtime": info.container_runtime_version,
    }


def openwhisk_facts(raw_pods: Iterable[Any]) -> Facts | None:
    """Return chart and version of OpenWhisk, from its controller's pod; ``None`` without one.

    The chart labels its pods with its own name and version; OpenWhisk's version is the tag of the controller's image.
    """
    for pod in raw_pods:
        for container in pod.spec.containers or []:
            repository, _, tag = container.image.partition("@")[0].rpartition(":")
            if repository.endswith("openwhisk/controller"):
                return {"chart": (pod.metadata.labels or {}).get("chart"), "version": tag}
    return None


def image_digests(pods: Iterable[Pod]) -> dict[str, str]:
    """Return image -> digest of all that ran."""
    return {image: digest for pod in pods for image, digest in sorted(pod.images.items())}


def requests_by_role(pods: Iterable[Pod]) -> dict[str, Facts]:
    """Return, for roles of the run's own, how much CPU and memory its pods ask for at a moment."""
    living = [pod for pod in pods if pod.is_running and pod.role != MACHINERY]
    return {
        role: requested([pod for pod in living if pod.role == role]) for role in sorted({pod.role for pod in living})
    }
