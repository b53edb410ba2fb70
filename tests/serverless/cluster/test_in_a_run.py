"""A whole run of functions beside an API server: the watch is there, and changes nothing of what is learnt."""

import json

import pytest

from metrics.collect.cluster_facts import read_cluster
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import append, read_run
from metrics.collect.row_types import PROCESSES, SampleRow
from serverless import keeper
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.storage import DirectorySettings
from task.job import FederatedJob
from task.weights import sha256

JOB = FederatedJob(model="mlp50", clients_per_round=1, rounds=1, local_epochs=1, seed=5)


def run(data, directory, cluster):
    directory.mkdir()
    settings = keeper.ServerlessSettings(
        platform=OpenWhiskSettings(),
        store=DirectorySettings(directory / "store"),
        data=data,
        client=FunctionSpec("client", 1024, 120),
        aggregator=FunctionSpec("aggregator", 1024, 120),
        cluster=cluster,
    )
    return sha256(keeper.run(JOB, settings, Recorder("run", directory)))


@pytest.mark.training
def test_a_watched_run_learns_the_same_and_an_api_server_in_trouble_does_not_stop_it(
    api_server, kube, settings, mnist_settings, tmp_path
):
    usage = kube.usage("owdev-controller-0", "500m", "900Mi", "2099-01-01T00:00:15Z")
    api_server.answers[kube.METRICS.format("openwhisk")] = {"items": [usage]}
    api_server.answers["/api/v1/nodes"] = 403
    watched = run(mnist_settings, tmp_path / "watched", settings)
    assert watched == run(mnist_settings, tmp_path / "alone", None)
    facts = json.loads(read_cluster(tmp_path / "watched"))
    assert facts["openwhisk"]["version"] == "ef725a6"
    assert any(note.startswith("nodes: refused") for note in facts["notes"])
    rows = read_run(tmp_path / "watched", "samples").to_pylist()
    assert {(row["role"], row["cpu_s"]) for row in rows} == {("openwhisk", 7.5)}
    assert read_cluster(tmp_path / "alone") is None


def test_a_sample_that_says_nothing_of_its_source_is_of_processes(tmp_path):
    row = SampleRow(run_id="r", sampled_at=1.0, role="controller", processes=1, cpu_s=1.0, rss_bytes=1)
    append(tmp_path, row)
    text = (tmp_path / "samples.jsonl").read_text().replace(f', "source": "{PROCESSES}"', "")
    (tmp_path / "samples.jsonl").write_text(text)
    assert [row["source"] for row in read_run(tmp_path, "samples").to_pylist()] == [PROCESSES]
