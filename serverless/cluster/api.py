"""The few requests to a Kubernetes API server, and error texts for people when it does not answer.

All of them only read. The verbs that a role needs: ``list`` on pods and events in the two namespaces, ``list`` on
pods of ``metrics.k8s.io`` there, and ``list`` on nodes (cluster-wide).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from urllib3 import Retry
from urllib3.exceptions import HTTPError

from serverless.cluster.settings import ClusterSettings
from serverless.functions.http_limits import Deadline, bound

_METRICS = ("metrics.k8s.io", "v1beta1")
_RETRIES = 3  # of connections that fail
_NO_METRICS = (404, 503)  # the API is not registered; it is, but nothing serves it


class ClusterUnavailable(RuntimeError):  # noqa: N818 - it names what happened, as a note says it
    """The cluster did not answer a question; the text says which, why, and what to do."""


class KubernetesApi:
    """One API server, read with the credentials of a kubeconfig.

    Raises
    ------
    ClusterUnavailable
        If the kubeconfig or its context cannot be used.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        from kubernetes import client, config  # noqa: PLC0415 - takes a second; a run without a cluster does not pay
        from kubernetes.config import ConfigException  # noqa: PLC0415
        from yaml import YAMLError  # type: ignore[import-untyped]  # noqa: PLC0415

        where = settings.kubeconfig or "the default kubeconfig"
        try:
            api = config.new_client_from_config(
                config_file=None if settings.kubeconfig is None else str(settings.kubeconfig),
                context=settings.context,
                persist_config=False,
            )
        except (ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError) as error:
            context = settings.context or "its current context"
            raise ClusterUnavailable(
                f"{where} gives no access with {context} ({_first_line(error)}): check cluster.kubeconfig and "
                "cluster.context against `kubectl config get-contexts`"
            ) from error
        pools = api.rest_client.pool_manager
        pools.connection_pool_kw["retries"] = Retry(_RETRIES, redirect=False)
        bound(pools)
        self._client = api
        self._core = client.CoreV1Api(api)
        self._version = client.VersionApi(api)
        self._custom = client.CustomObjectsApi(api)
        self._timeout_s = settings.timeout_s

    def version(self) -> str:
        """Return the API server's version, such as ``v1.34.0``."""
        version: str = self._ask("its version", self._version.get_code).git_version
        return version

    def nodes(self) -> list[Any]:
        """Return the nodes (``V1Node``)."""
        return list(self._ask("nodes", self._core.list_node).items)

    def pods(self, namespace: str) -> list[Any]:
        """Return the pods of a namespace (``V1Pod``)."""
        return list(self._ask(f"pods in {namespace}", self._core.list_namespaced_pod, namespace).items)

    def events(self, namespace: str) -> list[Any]:
        """Return the events of a namespace (``CoreV1Event``); the server forgets them after an hour by default."""
        return list(self._ask(f"events in {namespace}", self._core.list_namespaced_event, namespace).items)

    def pod_metrics(self, namespace: str) -> list[dict[str, Any]]:
        """Return what the pods of a namespace use (``PodMetrics`` of metrics.k8s.io/v1beta1, plain JSON)."""
        ask = self._custom.list_namespaced_custom_object
        answer = self._ask(f"usage of pods in {namespace}", ask, *_METRICS, namespace, "pods")
        return list(answer["items"])

    def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):  # nothing depends on it
            self._client.close()

    def _ask(self, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
        from kubernetes.client import ApiException  # noqa: PLC0415

        try:
            with Deadline(2 * self._timeout_s) as deadline:
                answer = call(*arguments, _request_timeout=(self._timeout_s, self._timeout_s))
        except ApiException as error:
            raise ClusterUnavailable(_refusal(what, error.status or 0)) from error
        except (HTTPError, OSError) as error:
            raise ClusterUnavailable(f"{what}: no answer from the API server ({type(error).__name__})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # an answer that is not of the type it says
            raise ClusterUnavailable(f"{what}: an answer that cannot be read ({_first_line(error)})") from error
        if deadline.is_over:
            raise ClusterUnavailable(f"{what}: the answer of the API server was not whole in time")
        return answer


def _refusal(what: str, status: int) -> str:
    if status in (401, 403):
        return f"{what}: refused ({status}); the account of cluster.context needs a role that may list them"
    if what.startswith("usage") and status in _NO_METRICS:
        return f"{what}: no metrics-server answers ({status}); install one to have CPU and memory of pods in samples"
    return f"{what}: the API server answered {status}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
