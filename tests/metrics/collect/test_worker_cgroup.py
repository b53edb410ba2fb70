"""The control group as a second measurement, where this machine lets a test make one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from machine.cgroups import cgroup_folders
from metrics.collect import worker_cgroup
from metrics.collect.worker_cgroup import GroupMeter

pytestmark = pytest.mark.slow

MIB = 2**20
FILES = {"cpuacct": ("cpuacct.usage", "cpu.stat"), "memory": ("memory.max_usage_in_bytes", "memory.peak")}


@pytest.fixture(params=["cpuacct", "memory"])
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A new group below ours that counts what the parameter says; skipped where none can be made."""
    made = None
    for folder in cgroup_folders(request.param):
        path = folder / f"fl-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            path.mkdir()
            if any((path / name).exists() for name in FILES[request.param]):
                made = path
                break
            path.rmdir()
    if made is None:
        pytest.skip(f"no {request.param} group can be made here")
    yield made
    made.rmdir()


def measure(script: str, *groups: Path) -> dict[str, Any]:
    """Run a script that prints one JSON object, in a fresh process that joins groups of its own first."""
    joined = "".join(f"open({str(path / 'cgroup.procs')!r}, 'w').write('0')\n" for path in groups)
    done = subprocess.run([sys.executable, "-c", joined + script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


WORK = """
import json, os, time
from metrics.collect.probe import Probe
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))
before = bytearray(b"1") * (400 * 2**20)   # before the probe: does not count
del before
burn(0.3)
idle = Probe().report().cgroup_peak_memory_bytes
probe = Probe()
burn(0.8)
child = os.fork()
if child == 0:
    burn(0.4)
    os._exit(0)
os.waitpid(child, 0)
held = bytearray(b"1") * (200 * 2**20)
del held
report = probe.report().to_dict()
print(json.dumps({**report, "idle": idle}))
"""


def test_a_group_of_its_own_counts_cpu_seconds_within_2_and_memory_within_5_percent(group: Path) -> None:
    report = measure(WORK, group)
    if (group / "memory.max_usage_in_bytes").exists() or (group / "memory.peak").exists():
        assert report["cgroup_source"].split("+")[-1] in ("memory.max_usage_in_bytes", "memory.peak"), "was it reset?"
        assert report["cgroup_peak_memory_bytes"] - report["idle"] == pytest.approx(200 * MIB, rel=0.05)
    else:
        assert report["cgroup_source"] in FILES["cpuacct"]
        # the child's copy of this process's pages is work too: what the probe saw is the measure
        assert report["cgroup_cpu_s"] == pytest.approx(report["cpu_s"], rel=0.02)
        assert report["cgroup_cpu_s"] >= 1.2


def test_a_process_that_left_its_parent_is_counted_by_the_group_alone(group: Path) -> None:
    if not any((group / name).exists() for name in FILES["cpuacct"]):
        pytest.skip("this group counts no CPU seconds")
    script = WORK.replace("os.waitpid(child, 0)", "os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)")
    report = measure(script, group)
    assert report["cgroup_cpu_s"] - report["cpu_s"] == pytest.approx(0.4, abs=0.1)


def test_a_group_with_others_in_it_is_not_one_s_own(group: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        (group / "cgroup.procs").write_text(str(other.pid))
        report = measure(
            "import json\nfrom metrics.collect.probe import Probe\nprint(json.dumps(Probe().report().to_dict()))", group
        )
    finally:
        other.kill()
        other.wait()
    assert report["cgroup_cpu_s"] is report["cgroup_peak_memory_bytes"] is report["cgroup_source"] is None


def invented(folder: Path, monkeypatch: pytest.MonkeyPatch, controllers: str, files: dict[str, str]) -> Path:
    """Let this process seem to be alone in a group made of ordinary files."""
    group = folder / "mount" / "work"
    group.mkdir(parents=True)
    for name, text in {**files, "cgroup.procs": f"{os.getpid()}\n"}.items():
        (group / name).write_text(text)
    kind = "cgroup" if controllers else "cgroup2"
    (folder / "cgroup").write_text(f"0:{controllers}:/work\n")
    (folder / "mounts").write_text(f"none {folder / 'mount'} {kind} rw,{controllers or 'nsdelegate'} 0 0\n")
    monkeypatch.setattr(worker_cgroup, "_SELF", folder)
    worker_cgroup._candidates.cache_clear()
    return group


def test_version_2_is_read_in_its_own_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"cpu.stat": "usage_usec 1500000\nuser_usec 1\n", "memory.peak": "1000\n"}
    group = invented(tmp_path, monkeypatch, "", files)
    meter = GroupMeter()
    (group / "cpu.stat").write_text("usage_usec 4000000\nuser_usec 1\n")
    with (group / "memory.peak").open("r+") as file:
        file.write("7340032\n")
    reading = meter.read()
    assert reading.cpu_s == pytest.approx(2.5)
    assert reading.peak_memory_bytes == 7340032
    assert reading.source == "cpu.stat+memory.peak"


def test_a_mark_that_cannot_be_set_back_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    invented(tmp_path, monkeypatch, "memory", {"memory.max_usage_in_bytes": "4096\n"})
    real = os.open

    def refuse(path: Any, flags: int, *args: Any, **known: Any) -> int:
        if flags & os.O_RDWR:
            raise PermissionError("read-only file system")
        return real(path, flags, *args, **known)

    monkeypatch.setattr(os, "open", refuse)
    reading = GroupMeter().read()
    assert (reading.peak_memory_bytes, reading.source) == (4096, "memory.max_usage_in_bytes_life")


def test_without_a_group_nothing_is_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_cgroup, "_SELF", tmp_path / "missing")
    reading = GroupMeter().read()
    assert (reading.cpu_s, reading.peak_memory_bytes, reading.source) == (None, None, None)
