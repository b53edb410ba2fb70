"""What a Kubernetes cluster reports about a run: its pods, what they use, and how they ended.

Nothing here can fail a run: what the cluster does not report becomes a note. The client library is imported by the
watch's own thread, not with this package.
"""

from __future__ import annotations

from serverless.cluster.settings import ClusterSettings
from serverless.cluster.watch import ClusterWatch, watch_cluster

__all__ = ["ClusterSettings", "ClusterWatch", "watch_cluster"]
