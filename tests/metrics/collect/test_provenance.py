import json
import os
import subprocess
from pathlib import Path

import pytest

from machine.cgroups import CgroupLimits, cgroup_limits
from machine.resources import affinity_cores, cpu_model, usable_cores
from metrics.collect.provenance import collect_provenance, package_versions


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def process_in(tmp_path: Path, groups: str, mounts: str) -> Path:
    write(tmp_path / "proc/cgroup", groups)
    write(tmp_path / "proc/mounts", mounts)
    return tmp_path / "proc"


def test_cgroup_v2_takes_the_tightest_limit_on_the_way_to_the_root(tmp_path):
    root = tmp_path / "cg"
    write(root / "pod/box/cpu.max", "max 100000\n")
    write(root / "pod/cpu.max", "150000 100000\n")
    write(root / "pod/box/memory.max", "4294967296\n")
    write(root / "pod/memory.max", "2147483648\n")
    proc = process_in(tmp_path, "0::/pod/box\n", f"cgroup2 {root} cgroup2 rw,nosuid 0 0\n")
    assert cgroup_limits(proc) == CgroupLimits(cpu_cores=1.5, memory_bytes=2147483648)


def test_cgroup_v1_reads_quota_and_memory_from_their_own_hierarchies(tmp_path):
    cpu, memory = tmp_path / "cg/cpu,cpuacct", tmp_path / "cg/memory"
    write(cpu / "box/cpu.cfs_quota_us", "50000\n")
    write(cpu / "box/cpu.cfs_period_us", "100000\n")
    write(cpu / "cpu.cfs_quota_us", "-1\n")
    write(cpu / "cpu.cfs_period_us", "100000\n")
    write(memory / "memory.limit_in_bytes", "1073741824\n")
    mounts = f"cgroup {cpu} cgroup rw,cpu,cpuacct 0 0\ncgroup {memory} cgroup rw,memory 0 0\n"
    proc = process_in(tmp_path, "4:memory:/only/on/the/host\n2:cpu,cpuacct:/box\n", mounts)
    assert cgroup_limits(proc) == CgroupLimits(cpu_cores=0.5, memory_bytes=1073741824)


def test_no_limit_is_none_in_both_versions(tmp_path):
    v1, v2 = tmp_path / "v1", tmp_path / "v2"
    write(v1 / "memory.limit_in_bytes", "9223372036854771712\n")
    write(v2 / "memory.max", "max\n")
    write(v2 / "cpu.max", "max 100000\n")
    mounts = f"cgroup {v1} cgroup rw,memory 0 0\ncgroup2 {v2} cgroup2 rw 0 0\n"
    proc = process_in(tmp_path, "4:memory:/\n0::/\n", mounts)
    assert cgroup_limits(proc) == CgroupLimits(None, None)


def test_a_system_without_proc_has_no_limits(tmp_path):
    assert cgroup_limits(tmp_path / "none") == CgroupLimits(None, None)


@pytest.mark.parametrize(("quota", "expected"), [(0.5, 1), (1.9, 1), (None, affinity_cores()), (1e6, affinity_cores())])
def test_usable_cores_never_exceed_the_quota_nor_fall_below_one(quota, expected):
    assert usable_cores(CgroupLimits(quota, None)) == expected


def test_cores_follow_the_affinity_mask():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert affinity_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_cpu_model_is_the_kernels_name_for_it(tmp_path):
    write(tmp_path / "cpuinfo", "processor\t: 0\nmodel name\t: Frobnicator 9000 @ 3 GHz\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Frobnicator 9000 @ 3 GHz"
    assert cpu_model(tmp_path / "none") != ""


def test_versions_are_those_installed_and_absent_packages_are_left_out():
    import numpy

    assert package_versions(("numpy", "no-such-package")) == {"numpy": numpy.__version__}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_and_dirty_follow_the_repository(tmp_path):
    git(tmp_path, "init", "-q")
    write(tmp_path / "code.py", "a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    write(tmp_path / "notes.txt", "untracked files do not change the code\n")
    clean = collect_provenance(tmp_path)
    assert (clean.commit, clean.dirty) == (git(tmp_path, "rev-parse", "HEAD"), False)
    write(tmp_path / "code.py", "a = 2\n")
    assert collect_provenance(tmp_path).dirty is True
    git(tmp_path, "checkout", "--", ".")
    assert collect_provenance(tmp_path).dirty is False
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "rows").write_text("1")
    git(tmp_path, "add", "results")
    assert collect_provenance(tmp_path).dirty is False  # an experiment's own rows are no other code


def test_an_archive_unpacked_inside_somebodys_repository_has_no_commit(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    (tmp_path / "unpacked").mkdir()
    inside = collect_provenance(tmp_path / "unpacked")
    assert (inside.commit, inside.dirty) == (None, None)


def test_outside_a_repository_the_commit_is_unknown(tmp_path):
    outside = collect_provenance(tmp_path)
    assert (outside.commit, outside.dirty) == (None, None)
    assert "tensorflow" in json.loads(outside.packages)
    assert outside.memory_bytes > 0
