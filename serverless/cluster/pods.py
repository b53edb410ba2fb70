"""The role of a pod, and the resources that it requested.

Labels of action pods: apache/openwhisk at 1fae641 and at ef725a6, which the chart deploys: ``WhiskPodBuilder`` sets
``user-action-pod``, ``KubernetesContainer.initialize`` sets ``openwhisk/action`` when the code is loaded. Until then
the name shows it: ``ContainerProxy.containerName`` ends in the action's name, or in ``prewarm_KIND``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ACTION_POD = "user-action-pod"
ACTION = "openwhisk/action"
PREWARMED, MACHINERY, OBJECT_STORE = "prewarmed", "openwhisk", "object_store"


@dataclass(frozen=True)
class Pod:
    """What is kept of a pod.

    Parameters
    ----------
    role
        The action's name (``client``, ``aggregator``), ``prewarmed``, ``openwhisk`` for its own services, or
        ``object_store``.
    is_running
        Whether it has not ended: pending pods keep their requests, too.
    requested_cpu_cores, requested_memory_bytes
        Sum over its containers; ``None`` if none of them asks for any, so that they may use what the node has.
    images
        Image as it was requested -> digest of the image that runs, as far as the node has reported it.
    """

    namespace: str
    name: str
    role: str
    is_running: bool
    requested_cpu_cores: float | None
    requested_memory_bytes: int | None
    images: dict[str, str]


def read_pod(pod: Any, *, in_store: bool) -> Pod:
    """Read a ``V1Pod``.

    Parameters
    ----------
    in_store
        Whether it is in the object store's namespace.
    """
    containers = pod.spec.containers or []
    memory = _requested(containers, "memory")
    return Pod(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        role=OBJECT_STORE if in_store else role_of(pod.metadata.name, pod.metadata.labels or {}),
        is_running=pod.status.phase in ("Pending", "Running"),
        requested_cpu_cores=_requested(containers, "cpu"),
        requested_memory_bytes=None if memory is None else round(memory),
        images={state.image: _digest(state.image_id) for state in pod.status.container_statuses or []},
    )


def role_of(name: str, labels: dict[str, str]) -> str:
    """Return the role of a pod in OpenWhisk's namespace.

    Examples
    --------
    >>> role_of("wskowdev-invoker-00-7-guest-client", {"user-action-pod": "true"})
    'client'
    >>> role_of("wskowdev-invoker-00-1-prewarm-python3", {"user-action-pod": "true"})
    'prewarmed'
    >>> role_of("owdev-kafka-0", {"name": "owdev-kafka"})
    'openwhisk'
    """
    if labels.get(ACTION_POD) != "true":
        return MACHINERY
    if ACTION in labels:
        return labels[ACTION]
    *_, prefix, action = name.split("-")
    return PREWARMED if prefix == "prewarm" else action


def quantity(text: str) -> float:
    """Return a Kubernetes quantity in its base unit: cores, or bytes.

    Examples
    --------
    >>> quantity("250m"), quantity("1Gi"), quantity("123456789n")
    (0.25, 1073741824.0, 0.123456789)
    """
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 - see KubernetesApi

    return float(parse_quantity(text))


def _requested(containers: list[Any], resource: str) -> float | None:
    asked = [((container.resources and container.resources.requests) or {}).get(resource) for container in containers]
    known = [quantity(text) for text in asked if text is not None]
    return sum(known) if known else None


def _digest(image_id: str) -> str:
    """Return ``sha256:...`` of what the node says that it runs; else its own words."""
    return image_id.rpartition("@")[2] if "@" in image_id else image_id
