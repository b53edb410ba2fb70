import os
import resource
import subprocess
import sys
import time

import psutil
import pytest

from metrics.collect.row_files import read_run
from metrics.collect.sampler import EVERY_S, MOST_OF_A_CORE, Sampler, role_of, role_of_command

BUSY = """
import time
blob = b"x" * (64 << 20)
end = time.process_time() + {cpu_s}
while time.process_time() < end:
    pass
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def spawn():
    processes = []

    def start(role: str | None, code: str = BUSY.format(cpu_s=0.3)) -> subprocess.Popen:
        env = {key: value for key, value in os.environ.items() if key != "FL_PROCESS_ROLE"}
        env |= {"FL_PROCESS_ROLE": role} if role else {}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}  # it lives until its input ends
        processes.append(subprocess.Popen([sys.executable, "-c", code], env=env, **pipes))
        assert processes[-1].stdout.readline() == "ready\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


TREE = """
import os, subprocess, sys, time
blob = b"x" * (40 << 20)
env = os.environ | {{"FL_PROCESS_ROLE": "client"}}
child = subprocess.Popen([sys.executable, '-c', {code!r}], env=env, stdout=subprocess.PIPE)
child.stdout.readline()
print('ready', flush=True)
sys.stdin.read()
"""


def test_a_tree_is_sampled_by_role_with_its_cpu_and_memory(tmp_path, spawn):
    root = spawn("controller", TREE.format(code=BUSY.format(cpu_s=0.3)))
    sampler = Sampler("r", tmp_path, root.pid)
    rows = {row.role: row for row in sampler.sample()}
    assert {role: row.processes for role, row in rows.items()} == {"controller": 1, "client": 1}
    assert rows["client"].cpu_s >= 0.3
    assert rows["client"].rss_bytes > 64 << 20 > rows["controller"].rss_bytes > 40 << 20
    assert sampler.peak_total_rss_bytes == sum(row.rss_bytes for row in rows.values())
    assert read_run(tmp_path, "samples").to_pylist()[0]["role"] == "client"
    for child in psutil.Process(root.pid).children():
        child.kill()


def test_the_peak_is_the_highest_sum_and_does_not_fall_with_the_tree(tmp_path, spawn):
    root = spawn("controller", TREE.format(code=BUSY.format(cpu_s=0)))
    sampler = Sampler("r", tmp_path, root.pid)
    sampler.sample()
    peak = sampler.peak_total_rss_bytes
    (child,) = psutil.Process(root.pid).children()
    child.kill()
    while any(process.status() != psutil.STATUS_ZOMBIE for process in psutil.Process(root.pid).children()):
        time.sleep(0.01)
    sampler.sample()
    assert sampler.peak_total_rss_bytes == peak


CHILDREN_THAT_END = """
import os, subprocess, sys
def client(cpu_s, then):
    env = os.environ | {{"FL_PROCESS_ROLE": "client"}}
    code = "import time\\nwhile time.process_time() < {{}}: pass\\n{{}}".format(cpu_s, then)
    return subprocess.Popen([sys.executable, '-c', code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
long = client(0.3, "print(flush=True)\\ninput()\\nwhile time.process_time() < 0.6: pass")
long.stdout.readline()
print("ready", flush=True)
sys.stdin.readline()
long.communicate(b"\\n")                   # it goes on after the last sample that saw it, and ends
client(0.3, "").communicate()             # no sample sees this one
{last}
"""


def after_its_children_ended(spawn, tmp_path, last: str) -> tuple[subprocess.Popen, Sampler]:
    root = spawn("controller", CHILDREN_THAT_END.format(last=last))
    sampler = Sampler("r", tmp_path, root.pid)
    sampler.sample()
    root.stdin.write("go on\n")
    root.stdin.flush()
    return root, sampler


def test_what_children_used_counts_when_they_have_ended(tmp_path, spawn):
    root, sampler = after_its_children_ended(spawn, tmp_path, "print('ended', flush=True)\nsys.stdin.read()")
    assert root.stdout.readline() == "ended\n"
    rows = {row.role: row for row in sampler.sample()}
    assert {role: row.processes for role, row in rows.items()} == {"controller": 1, "client": 0}
    assert rows["client"].rss_bytes == 0
    assert rows["client"].cpu_s == pytest.approx(0.9, rel=0.2)  # starting Python is work too
    assert sampler.not_waited_for_s == pytest.approx(0.0, abs=0.03)  # the kernel counts in ticks of 10 ms


def test_the_last_sample_of_a_process_that_nobody_reaped_yet_adds_up_to_all_it_used(tmp_path, spawn):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    root, sampler = after_its_children_ended(spawn, tmp_path, "")
    os.waitid(os.P_PID, root.pid, os.WEXITED | os.WNOWAIT)
    assert {row.role: row.processes for row in sampler.sample()} == {"controller": 0, "client": 0}
    root.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert sampler.cpu_s == pytest.approx(used_s, rel=0.05)
    assert used_s > 0.9


def test_a_process_for_which_nobody_waited_is_known_from_the_samples_alone(tmp_path, spawn):
    """The kernel tells no parent of it that ignores SIGCHLD, as Ray's raylet does."""
    code = TREE.format(code=BUSY.format(cpu_s=0.3)).replace(
        "sys.stdin.read()", "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); sys.stdin.read()"
    )
    root = spawn("controller", code)
    sampler = Sampler("r", tmp_path, root.pid)
    used_s = {row.role: row.cpu_s for row in sampler.sample()}["client"]
    (child,) = psutil.Process(root.pid).children()
    child.kill()
    while child.is_running():
        time.sleep(0.01)
    assert {row.role: row.cpu_s for row in sampler.sample()}["client"] == used_s >= 0.3
    assert sampler.not_waited_for_s == pytest.approx(used_s)


def test_the_sampler_knows_what_it_costs(tmp_path, spawn):
    root = spawn("controller", BUSY.format(cpu_s=0))
    sampler = Sampler("r", tmp_path, root.pid)
    start = time.thread_time()
    for _ in range(20):
        sampler.sample()
    assert sampler.own_cpu_s == pytest.approx(time.thread_time() - start, rel=0.1)


def test_the_next_sample_comes_later_where_a_sample_takes_long(tmp_path, spawn, monkeypatch):
    root = spawn("controller", BUSY.format(cpu_s=0))
    sampler = Sampler("r", tmp_path, root.pid)
    assert sampler.interval_s == EVERY_S
    clock = iter([10.0, 10.02])
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    sampler.sample()
    assert 0.02 / sampler.interval_s == pytest.approx(MOST_OF_A_CORE)
    assert MOST_OF_A_CORE < 0.01


def test_nothing_is_kept_of_a_run_that_is_gone(tmp_path, spawn):
    root = spawn("controller")
    root.kill()
    root.wait()
    sampler = Sampler("r", tmp_path, root.pid)
    assert sampler.sample() == []
    assert sampler.peak_total_rss_bytes is None
    assert not (tmp_path / "samples.jsonl").exists()


def test_a_stated_role_wins_and_an_inherited_controller_does_not(spawn):
    assert role_of(psutil.Process(spawn("aggregator").pid)) == "aggregator"
    inherited = spawn("controller", "print('ready', flush=True)\nimport time; time.sleep(60)\n# flwr ray")
    assert role_of(psutil.Process(inherited.pid)) == "controller"
    assert role_of(psutil.Process(inherited.pid), is_root=True) == "controller"


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["ray::IDLE"], "client"),
        (["ray::ClientAppActor.run"], "client"),
        (["ray::DashboardAgent"], "ray"),
        (["/v/lib/ray/core/src/ray/raylet/raylet", "--node_ip_address=127.0.0.1"], "ray"),
        (["/v/bin/python", "/v/lib/ray/_private/workers/default_worker.py"], "client"),
        (["/v/bin/python", "-u", "/v/lib/ray/dashboard/dashboard.py"], "ray"),
        (["/v/bin/python", "/v/bin/flower-superlink"], "flower"),
        (["/v/bin/python", "/v/bin/flwr-serverapp"], "flower"),
        (["/v/bin/python", "/v/bin/flwr-clientapp"], "client"),
        (["/usr/local/bin/minio", "server", "/data"], "object_store"),
        (["/home/flower-power/bin/python", "array.py"], "controller"),
        (["python", "-c", "import ray"], "controller"),
        ([], "controller"),
    ],
)
def test_programs_are_known_by_their_file_names(command, role):
    assert role_of_command(command) == role


def test_samples_that_cannot_be_written_do_not_end_the_run_and_are_written_later(tmp_path, spawn):
    sampler = Sampler("r", tmp_path, spawn("client").pid)
    (tmp_path / "samples.jsonl").mkdir()
    sampler.sample()
    sampler.sample()
    assert "samples.jsonl" in sampler.problem
    (tmp_path / "samples.jsonl").rmdir()
    sampler.sample()
    assert len(read_run(tmp_path, "samples")) == 3
