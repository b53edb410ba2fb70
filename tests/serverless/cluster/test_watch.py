"""A run's cluster is seen as it is; what it does not tell is a note and never the end of a run."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from kubernetes import client

from metrics.collect.cluster_facts import read_cluster
from metrics.collect.row_files import read_run
from serverless.cluster import ClusterWatch, watch_cluster
from serverless.cluster.api import ClusterUnavailable, KubernetesApi


def looked(settings, directory, times=1, started_at=0.0):
    """Look at the cluster so many times, and return what was kept."""
    watch = ClusterWatch(replace(settings, every_s=60.0), "r", directory, started_at=started_at)
    watch.stop()  # the first look and the last one are taken all the same
    watch.run()
    facts = json.loads(read_cluster(directory))
    return {row["role"]: row for row in read_run(directory, "samples").to_pylist()}, facts


@pytest.mark.parametrize("kind", ["V1PodList", "V1NodeList", "CoreV1EventList", "VersionInfo"])
def test_the_answers_in_these_tests_are_of_the_published_types(kube, kind):
    """Nothing is lost on the way through the client library's own types: no field of ours is misspelt."""
    terminated = kube.pod("p", state=kube.killed(), status={"reason": "Evicted", "message": "m"})
    answers = {
        "V1PodList": {"items": [kube.controller(), kube.action_pod(1, "client"), terminated]},
        "V1NodeList": {"items": [kube.node()]},
        "CoreV1EventList": {"items": [kube.event("Evicted", "p")]},
        "VersionInfo": kube.VERSION,
    }
    api = client.ApiClient()
    answer = type("Answer", (), {"data": json.dumps(answers[kind])})
    try:
        read = api.deserialize(answer, kind)
    except TypeError:  # younger generations of the client take the text itself
        read = api.deserialize(answer.data, kind, "application/json")
    assert _moments_as_text(api.sanitize_for_serialization(read)) == _moments_as_text(answers[kind])


def _moments_as_text(value):
    return json.loads(json.dumps(value).replace("+00:00", "Z"))


def test_action_pods_the_platform_and_the_store_are_told_apart(api_server, kube, settings, tmp_path):
    at = "2026-03-01T12:00:15Z"
    pods = [kube.action_pod(1, "client"), kube.action_pod(2, "client"), kube.action_pod(3, "aggregator")]
    api_server.answers[kube.PODS.format("openwhisk")] += pods
    api_server.answers[kube.METRICS.format("openwhisk")] = {
        "items": [
            *[kube.usage(pod["metadata"]["name"], "800m", "700Mi", at) for pod in pods],
            kube.usage("owdev-controller-0", "123456789n", "900Mi", at),
        ]
    }
    api_server.answers[kube.METRICS.format("minio")] = {
        "items": [kube.usage("minio-0", "10m", "256Mi", at, namespace="minio")]
    }
    rows, facts = looked(settings, tmp_path)
    assert {role: row["processes"] for role, row in rows.items()} == {
        "aggregator": 1,
        "client": 2,
        "object_store": 1,
        "openwhisk": 1,
    }
    assert rows["client"]["cpu_s"] == pytest.approx(2 * 0.8 * 15)
    assert rows["client"]["rss_bytes"] == 2 * 700 * 2**20
    assert rows["client"]["requested_memory_bytes"] == 2 * 1024 * 2**20
    assert rows["client"]["requested_cpu_cores"] is None  # the factory asks for none: null, not nought
    assert rows["openwhisk"]["requested_memory_bytes"] is None
    assert {row["source"] for row in rows.values()} == {"metrics.k8s.io"}
    assert facts["requested"]["client"] == {
        "processes": 2,
        "requested_cpu_cores": None,
        "requested_memory_bytes": 2**31,
    }


def test_the_facts_name_versions_nodes_and_digests(api_server, settings, tmp_path):
    _, facts = looked(settings, tmp_path)
    assert facts["kubernetes"] == "v1.34.0"
    assert facts["openwhisk"] == {"chart": "openwhisk-1.0.1", "version": "ef725a6"}
    assert facts["images"]["docker.io/openwhisk/controller:ef725a6"] == "sha256:" + "cd" * 32
    (node,) = facts["nodes"]
    assert (node["cpu_cores"], node["allocatable_cpu_cores"]) == (4.0, 3.92)
    assert node["memory_bytes"] == 16384256 * 1024
    assert facts["notes"] == []
    assert facts["events"] == []


def test_killed_evicted_and_unscheduled_pods_are_events(api_server, kube, settings, tmp_path):
    api_server.answers[kube.PODS.format("openwhisk")] += [
        kube.action_pod(1, "client", state=kube.killed()),
        kube.action_pod(2, "aggregator", state=kube.killed("Completed")),  # as it should
        kube.action_pod(4, "client", state=kube.killed(at="2026-03-01T11:59:00Z")),  # before this run
        kube.action_pod(3, "client", phase="Failed", status={"reason": "Evicted", "message": "node was low on memory"}),
    ]
    name = "wskowdev-invoker-00-9-guest-client"
    api_server.answers[kube.EVENTS.format("openwhisk")] = [
        kube.event("FailedScheduling", name),
        kube.event("Killing", name),  # every deleted pod has one
        kube.event("FailedScheduling", name, at="2026-03-01T11:59:59Z"),  # of an earlier run
        kube.event("NodeNotReady", "fl-worker", kind="Node"),
    ]
    _, facts = looked(settings, tmp_path, started_at=kube.STARTED_AT)
    assert [(event["role"], event["reason"]) for event in facts["events"]] == [
        ("client", "Evicted"),
        ("client", "FailedScheduling"),
        ("client", "OOMKilled"),
    ]
    (oom,) = [event for event in facts["events"] if event["reason"] == "OOMKilled"]
    assert oom["at"] == kube.STARTED_AT + 200
    assert "137" in oom["message"]


@pytest.mark.parametrize("status", [404, 503])
def test_without_a_metrics_server_there_is_a_note_and_no_row(api_server, kube, settings, tmp_path, status):
    for namespace in ("openwhisk", "minio"):
        api_server.answers[kube.METRICS.format(namespace)] = status
    rows, facts = looked(settings, tmp_path)
    assert rows == {}
    assert any("no metrics-server answers" in note for note in facts["notes"])
    assert facts["kubernetes"] == "v1.34.0"  # the rest is there


def test_what_an_account_may_not_list_is_a_note_and_the_rest_is_there(api_server, kube, settings, tmp_path):
    api_server.answers["/api/v1/nodes"] = 403
    api_server.answers[kube.EVENTS.format("minio")] = 403
    _, facts = looked(settings, tmp_path)
    assert facts["nodes"] == []
    assert any(note.startswith("nodes: refused (403)") for note in facts["notes"])
    assert any(note.startswith("events in minio: refused (403)") for note in facts["notes"])
    assert facts["openwhisk"]["version"] == "ef725a6"


@pytest.mark.parametrize("rubbish", [b"<html>proxy</html>", {"items": [{"metadata": {}}]}, {"items": None}])
def test_rubbish_is_a_note(api_server, kube, settings, tmp_path, rubbish):
    api_server.answers[kube.METRICS.format("openwhisk")] = rubbish
    api_server.answers[kube.PODS.format("minio")] = rubbish
    _, facts = looked(settings, tmp_path)
    assert facts["notes"]


@pytest.mark.parametrize("change", [{"context": "nowhere"}, {"kubeconfig": "missing"}, {"kubeconfig": "broken"}])
def test_a_kubeconfig_that_does_not_fit_is_a_note_that_says_what_to_check(settings, tmp_path, change):
    broken = tmp_path / "broken"
    broken.write_text("][", encoding="utf-8")
    paths = {"missing": tmp_path / "missing", "broken": broken}
    change = {key: paths.get(value, value) for key, value in change.items()}
    rows, facts = looked(replace(settings, **change), tmp_path)
    assert rows == {}
    assert "cluster.context" in facts["notes"][0]


def test_a_server_that_is_gone_is_a_note(api_server, settings, tmp_path):
    text = settings.kubeconfig.read_text(encoding="utf-8")
    settings.kubeconfig.write_text(text.replace(api_server.address, "http://127.0.0.1:9"), encoding="utf-8")
    _, facts = looked(settings, tmp_path)
    assert any("no answer from the API server" in note for note in facts["notes"])


def test_the_watch_ends_with_its_context_and_goes_on_meanwhile(api_server, kube, settings, tmp_path):
    path = kube.METRICS.format("openwhisk")
    api_server.answers[path] = {"items": [kube.usage("owdev-controller-0", "1", "1Mi", "2026-03-01T12:00:15Z")]}
    with watch_cluster(settings, "r", tmp_path):
        give_up_at = time.monotonic() + 30
        while api_server.asked.count(path) < 3 and time.monotonic() < give_up_at:
            time.sleep(0.01)
    asked = api_server.asked.count(path)
    assert asked >= 3
    assert json.loads(read_cluster(tmp_path))["watch"]["samples"] == asked
    assert read_run(tmp_path, "samples").num_rows == asked


def test_the_work_inside_fails_with_its_own_error(settings, tmp_path):
    with pytest.raises(RuntimeError, match="of the run"), watch_cluster(settings, "r", tmp_path):
        raise RuntimeError("of the run")


def test_no_cluster_asks_nothing_and_leaves_nothing(tmp_path):
    with watch_cluster(None, "r", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_cluster_does_not_import_the_client_library():
    code = "import sys, serverless.cluster; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_slow_server_is_not_waited_for_longer_than_it_may_take(api_server, settings):
    serve = api_server.serve
    api_server.serve = lambda path: (time.sleep(1.0), serve(path))[1]
    api = KubernetesApi(replace(settings, timeout_s=0.05))
    with pytest.raises(ClusterUnavailable, match="no answer"):
        api.version()
