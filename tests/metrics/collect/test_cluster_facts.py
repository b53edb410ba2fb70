"""What a cluster reported, in a report's lines and in the figure of CPU and memory."""

import json

import pandas as pd

from metrics.analysis.checks.consistency import cluster_lines
from metrics.collect.cluster_facts import read_cluster, write_cluster
from metrics.collect.tables import load
from metrics.plots.cpu_memory import data

FACTS = {"kubernetes": "v1.34.0", "events": [], "notes": []}


def lines(*facts):
    return cluster_lines(pd.DataFrame({"cluster": [None, *(json.dumps(FACTS | fact) for fact in facts)]}))


def test_no_cluster_is_no_line():
    assert cluster_lines(pd.DataFrame({"cluster": [None]})) == []
    assert cluster_lines(pd.DataFrame({"run_id": ["older than the column"]})) == []


def test_a_quiet_cluster_is_well():
    assert lines({}) == [("cluster (Kubernetes v1.34.0): no pod in trouble", True)]


def test_trouble_is_counted_and_each_note_is_there_once():
    killed = [{"reason": "OOMKilled"}, {"reason": "OOMKilled"}, {"reason": "Evicted"}]
    assert lines({"events": killed, "notes": ["no metrics"]}, {"notes": ["no metrics"]}) == [
        ("cluster (Kubernetes v1.34.0): OOMKilled 2, Evicted 1", None),
        ("cluster: no metrics", None),
    ]


def test_what_is_kept_is_what_is_read(tmp_path):
    assert read_cluster(tmp_path) is None
    write_cluster(tmp_path, FACTS)
    assert json.loads(read_cluster(tmp_path)) == FACTS


def test_pods_come_on_top_of_processes_and_do_not_disturb_them(make_experiment):
    tables = load(make_experiment())
    key = ["cell", "system", "role"]
    alone = data(tables).set_index(key)[["cpu_s", "rss_bytes"]]
    of_run = tables["samples"][tables["samples"]["run_id"] == "openwhisk-0"].drop_duplicates("sampled_at")
    pods = of_run.assign(role="openwhisk", source="metrics.k8s.io", sampled_at=of_run["sampled_at"] + 0.5)
    pods = pods.assign(cpu_s=[float(second) for second in range(len(pods))], rss_bytes=2**30)
    shown = data(tables | {"samples": pd.concat([tables["samples"], pods])}).set_index(key)
    ((_, used),) = shown.drop(alone.index).iterrows()
    assert (used["cpu_s"], used["rss_bytes"]) == (9.0, 2**30)
    pd.testing.assert_frame_equal(shown.loc[alone.index, alone.columns], alone)
