"""The probe against work whose CPU seconds and memory are known, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from metrics.collect.probe import Probe, Span, WorkReport

pytestmark = pytest.mark.slow

MIB = 2**20


def measure(script: str) -> dict[str, Any]:
    """Run a script that prints one JSON object, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


BURN = """
import json, os, time
from metrics.collect.probe import Probe
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))
"""


def test_cpu_seconds_of_a_known_workload_within_2_percent() -> None:
    report = measure(
        BURN
        + """
burn(0.5)                      # before the probe: does not count
probe = Probe()
burn(0.8)
child = os.fork()
if child == 0:
    burn(0.7)                  # a reaped child: counts
    os._exit(0)
os.waitpid(child, 0)
time.sleep(0.3)                # sleeping is no CPU time
print(json.dumps(probe.report().to_dict()))
"""
    )
    assert report["cpu_s"] == pytest.approx(1.5, rel=0.02)
    assert report["ended_at"] - report["started_at"] >= 1.8


def test_threads_count_in_the_cpu_seconds() -> None:
    report = measure(
        BURN
        + """
import threading
probe = Probe()
threads = [threading.Thread(target=burn, args=(0.4,)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(probe.report().to_dict()))
"""
    )
    assert report["cpu_s"] == pytest.approx(1.2, rel=0.02)


ALLOCATE = """
import json
from metrics.collect.probe import Probe, _high_water_bytes
before = bytearray(b"1") * (400 * 2**20)   # before the probe: does not count
del before
first = Probe()
resident = first.report().peak_memory_bytes
held = bytearray(b"1") * (200 * 2**20)
del held                                   # freed again: the peak stays
report = first.report()
print(json.dumps({"bytes": report.peak_memory_bytes - resident, "source": report.memory_source}))
"""


def test_peak_memory_of_a_known_workload_within_5_percent() -> None:
    used = measure(ALLOCATE)
    if used["source"] != "VmHWM":
        pytest.skip(f"this kernel cannot reset the high-water mark (source {used['source']})")
    assert used["bytes"] == pytest.approx(200 * MIB, rel=0.05)


def test_a_mark_that_cannot_be_reset_is_the_process_s_own_and_says_so() -> None:
    """Unlike ``ru_maxrss``, which a process inherits from the one that started it."""
    large = bytearray(b"1") * (400 * MIB)
    report = measure(
        """
import json, pathlib
def refuse(self, *args, **kwargs): raise PermissionError("read-only /proc")
pathlib.Path.write_text = refuse
from metrics.collect.probe import Probe
print(json.dumps(Probe().report().to_dict()))
"""
    )
    del large
    assert report["memory_source"] in ("VmHWM_process", "ru_maxrss")
    if report["memory_source"] == "VmHWM_process":
        assert report["peak_memory_bytes"] < 200 * MIB


def test_only_the_first_work_of_a_process_is_cold_and_tells_its_start() -> None:
    reports = measure(
        """
import json, time
time.sleep(0.2)
from metrics.collect.probe import WorkerProcess
from machine.clocks import now
ready = now()
time.sleep(0.1)
worker = WorkerProcess(ready)
reports = [worker.probe().report().to_dict(), worker.probe().report().to_dict(), {"ready": ready}]
print(json.dumps(reports))
"""
    )
    first, second, ready = reports
    assert first["is_cold"]
    assert not second["is_cold"]
    (cold_start,) = first["spans"]
    assert cold_start["phase"] == "cold_start"
    assert cold_start["end"] == ready["ready"]
    assert cold_start["end"] - cold_start["start"] >= 0.19
    assert first["started_at"] >= cold_start["end"] + 0.09
    assert second["spans"] == []


def test_a_forked_worker_is_cold_and_born_when_it_was_forked() -> None:
    parent, child = measure(
        """
import json, os, time
from metrics.collect.probe import WorkerProcess
worker = WorkerProcess()
parent = worker.probe().report().to_dict()
time.sleep(0.5)
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, json.dumps(worker.probe().report().to_dict()).encode())
    os._exit(0)
os.wait()
print(json.dumps([parent, json.loads(os.read(reader, 65536))]))
"""
    )
    assert child["is_cold"]
    assert child["pid"] != parent["pid"]
    assert child["spans"][0]["start"] - parent["spans"][0]["start"] >= 0.45


def test_a_forked_worker_may_count_from_the_birth_of_the_process_that_it_was_forked_from() -> None:
    report, born_at = measure(
        """
import json, os, time
from machine.clocks import now, process_started_at
from metrics.collect.probe import WorkerProcess
worker = WorkerProcess(ready_at=now(), born_at=process_started_at())
time.sleep(0.3)
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, json.dumps(worker.probe().report().to_dict()).encode())
    os._exit(0)
os.wait()
print(json.dumps([json.loads(os.read(reader, 65536)), worker.born_at]))
"""
    )
    assert report["is_cold"]
    assert report["spans"][0]["start"] == born_at


def test_a_phase_is_kept_when_the_work_in_it_fails() -> None:
    probe = Probe()
    with pytest.raises(RuntimeError), probe.phase("train"):
        raise RuntimeError
    with probe.phase("store"):
        pass
    assert [span.phase for span in probe.report().spans][-2:] == ["train", "store"]


def test_a_report_survives_json_and_sums_a_phase() -> None:
    report = WorkReport(1.0, 9.0, (Span("train", 1.0, 3.0), Span("train", 5.0, 6.0)), 2.5, 10, "VmHWM", 7, True)
    assert WorkReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report.phase_s("train") == 3.0
    assert report.phase_s("fetch") == 0.0
    with pytest.raises(TypeError, match="unexpected keyword"):
        WorkReport.from_dict({**report.to_dict(), "gpu_s": 1.0})
