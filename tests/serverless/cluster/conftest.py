"""An API server on loopback that answers with JSON of the published types, and refuses as a real one does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from serverless.cluster import ClusterSettings
from tests.support.tiers import starts

STARTED = "2026-03-01T12:00:00Z"
STARTED_AT = 1772366400.0
PODS = "/api/v1/namespaces/{}/pods"
EVENTS = "/api/v1/namespaces/{}/events"
METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods"


def pod(name: str, *, namespace: str = "openwhisk", memory: str | None = "1024Mi", **changes: Any) -> dict[str, Any]:
    """A running pod as OpenWhisk's factory makes it: requests equal limits, and no word about CPU."""
    image = changes.get("image", "docker.io/serverless-fl/runtime:1")
    resources = {} if memory is None else {"limits": {"memory": memory}, "requests": {"memory": memory}}
    status: dict[str, Any] = {
        "name": "user-action",
        "image": image,
        "imageID": changes.get("image_id", "docker.io/serverless-fl/runtime@sha256:" + "ab" * 32),
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": STARTED}},
    }
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": changes.get("labels", {})},
        "spec": {"containers": [{"name": "user-action", "image": image, "resources": resources}]},
        "status": {
            "phase": changes.get("phase", "Running"),
            "startTime": STARTED,
            "containerStatuses": [status | changes.get("state", {})],
        }
        | changes.get("status", {}),
    }


def action_pod(number: int, action: str | None, **changes: Any) -> dict[str, Any]:
    labels = {"user-action-pod": "true", "invoker": "invoker0", "release": "owdev"}
    labels |= {"openwhisk/action": action, "openwhisk/namespace": "guest"} if action else {}
    return pod(f"wskowdev-invoker-00-{number}-guest-client", labels=labels, **changes)


def controller(image: str = "docker.io/openwhisk/controller:ef725a6") -> dict[str, Any]:
    labels = {"name": "owdev-controller", "chart": "openwhisk-1.0.1", "release": "owdev"}
    digest = "docker.io/openwhisk/controller@sha256:" + "cd" * 32
    return pod("owdev-controller-0", labels=labels, memory=None, image=image, image_id=digest)


def killed(reason: str = "OOMKilled", at: str = "2026-03-01T12:03:20Z") -> dict[str, Any]:
    """The status of a container that was killed and started again."""
    end = {"exitCode": 137, "reason": reason, "startedAt": STARTED, "finishedAt": at}
    return {"restartCount": 1, "lastState": {"terminated": end}}


def event(reason: str, name: str, *, at: str = "2026-03-01T12:01:00Z", kind: str = "Pod") -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}.{reason}".lower(), "namespace": "openwhisk"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "openwhisk"},
        "reason": reason,
        "message": f"{reason}, said the scheduler",
        "type": "Warning",
        "lastTimestamp": at,
    }


def usage(
    name: str, cpu: str, memory: str, at: str, window: str = "15s", namespace: str = "openwhisk"
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "timestamp": at,
        "window": window,
        "containers": [{"name": "user-action", "usage": {"cpu": cpu, "memory": memory}}],
    }


def node(name: str = "fl-worker") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {
            "capacity": {"cpu": "4", "memory": "16384256Ki", "pods": "110"},
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110"},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "b",
                "containerRuntimeVersion": "containerd://2.1.3",
                "kernelVersion": "6.8.0",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.34.0",
                "machineID": "m",
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "systemUUID": "u",
            },
        },
    }


VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0",
    "gitCommit": "c",
    "gitTreeState": "clean",
    "buildDate": STARTED,
    "goVersion": "go1.24.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}


@dataclass
class ApiServer:
    """Answers each path with its items, or with a status that stands in their place; a path it does not know is 404."""

    address: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def serve(self, path: str) -> tuple[int, Any]:
        self.asked.append(path)
        answer = self.answers.get(path, 404)
        if isinstance(answer, int):
            words = {403: "Forbidden", 404: "NotFound", 503: "ServiceUnavailable"}[answer]
            return answer, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": words, "code": answer}
        if isinstance(answer, list):
            kinds = {"pods": "PodList", "events": "EventList", "nodes": "NodeList"}
            return 200, {"kind": kinds[path.rpartition("/")[2]], "apiVersion": "v1", "metadata": {}, "items": answer}
        return 200, answer


@pytest.fixture
@starts("server")
def api_server() -> Iterator[ApiServer]:
    """A healthy cluster: a controller, a store, and whatever the test adds."""
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, answer = state.serve(self.path.partition("?")[0])
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            with suppress(BrokenPipeError):  # whoever did not want to wait
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}"
    state.answers = {
        "/version/": VERSION,
        "/api/v1/nodes": [node()],
        PODS.format("openwhisk"): [controller()],
        PODS.format("minio"): [pod("minio-0", namespace="minio", memory="512Mi")],
        EVENTS.format("openwhisk"): [],
        EVENTS.format("minio"): [],
        METRICS.format("openwhisk"): [],
        METRICS.format("minio"): [],
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def settings(api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterSettings:
    """A kubeconfig with the context ``test``; no proxy stands between."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": {"server": api_server.address}}],
                "users": [{"name": "test", "user": {"token": "not-a-secret"}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        ),
        encoding="utf-8",
    )
    return ClusterSettings(context="test", kubeconfig=path, every_s=0.02, timeout_s=5.0)


@pytest.fixture(scope="session")
def kube() -> SimpleNamespace:
    """What the API's objects look like."""
    makers = (pod, action_pod, controller, killed, event, usage, node)
    paths = {"PODS": PODS, "EVENTS": EVENTS, "METRICS": METRICS, "VERSION": VERSION, "STARTED_AT": STARTED_AT}
    return SimpleNamespace(**{maker.__name__: maker for maker in makers}, **paths)
