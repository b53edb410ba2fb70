"""Which cluster is watched, and where in it the run's pods are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClusterSettings:
    """A cluster to watch.

    Parameters
    ----------
    context
        Context of the kubeconfig; ``None`` is its current one.
    kubeconfig
        File; ``None`` is ``$KUBECONFIG``, else ``~/.kube/config``.
    namespace
        Where OpenWhisk and the action pods are (its chart puts both into one).
    store_namespace
        Where the object store is; ``None`` if it is not in the cluster.
    every_s
        Seconds between two looks. metrics-server itself looks every 15 s by default.
    timeout_s
        Seconds that an answer of the API server may take.
    """

    context: str | None = None
    kubeconfig: Path | None = None
    namespace: str = "openwhisk"
    store_namespace: str | None = "minio"
    every_s: float = 5.0
    timeout_s: float = 5.0
