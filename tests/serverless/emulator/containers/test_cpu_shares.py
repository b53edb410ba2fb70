"""A share of a core: by the kernel where it can be had, by waiting where not."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serverless.emulator.containers.cgroups import MemoryGroups
from serverless.emulator.containers.cpu_shares import Quotas, SharedQuotas, Waiting, cpu_enforcer
from serverless.emulator.containers.memory_limits import Watchdog

BUSY = "import time\ninput()\nt = time.process_time()\nwhile time.process_time() - t < 0.4: pass"


def test_without_a_share_nothing_is_held_back():
    enforcer = cpu_enforcer("auto", None, Watchdog())
    assert (enforcer.name, enforcer.create("c").owed_s(5.0)) == ("none", 0.0)


def test_simulated_answers_wait_for_what_the_share_would_have_taken():
    enforcer = cpu_enforcer("simulated", 0.25, Watchdog())
    share = enforcer.create("c")
    share.admit(os.getpid())
    assert enforcer.name == "simulated"
    assert share.owed_s(2.0) == 6.0


def test_where_no_group_can_be_written_it_is_simulated_or_refused(tmp_path):
    assert isinstance(cpu_enforcer("auto", 0.5, Watchdog(), tmp_path), Waiting)
    with pytest.raises(OSError, match="no CPU cgroup"):
        cpu_enforcer("cgroup", 0.5, Watchdog(), tmp_path)


@pytest.fixture
def second_version(tmp_path):
    """The files of a server's group in version 2, and its memory limits."""
    memory = object.__new__(MemoryGroups)
    memory.__dict__.update(_path=tmp_path, _version=type("V2", (), {"name": "cgroup-v2"}))
    return memory


@pytest.mark.parametrize("control", ["cpu memory", "+memory +cpu"])
def test_version_2_has_the_quota_in_the_group_of_the_memory_limit(second_version, control):
    (second_version.path / "cgroup.subtree_control").write_text(control)
    (second_version.path / "container").mkdir()
    enforcer = cpu_enforcer("auto", 0.633, second_version)
    assert isinstance(enforcer, SharedQuotas)
    assert enforcer.create("container").owed_s(3.0) == 0.0
    assert (second_version.path / "container" / "cpu.max").read_text() == "12660 20000"


def test_version_2_without_the_cpu_controller_is_simulated(second_version):
    (second_version.path / "cgroup.subtree_control").write_text("memory")
    assert isinstance(cpu_enforcer("auto", 0.5, second_version), Waiting)


@pytest.fixture
def quotas():
    """Groups of version 1; skipped where none can be made."""
    enforcer = cpu_enforcer("auto", 0.25, Watchdog())
    if not isinstance(enforcer, Quotas):
        pytest.skip("no CPU cgroup of version 1 can be written here")
    yield enforcer
    asyncio.run(enforcer.close())


def test_a_quota_lets_a_process_have_its_share_and_no_more(quotas):
    share = quotas.create("busy")
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE)
    share.admit(process.pid)
    start = time.monotonic()
    process.communicate(b"\n")
    took_s = time.monotonic() - start
    assert took_s > 1.2  # 0.4 s of work at a quarter of a core take 1.6 s; a busy machine only makes it more
    throttled = dict(line.split() for line in (share.path / "cpu.stat").read_text().splitlines())
    assert int(throttled["nr_throttled"]) > 0  # 16 times on an idle machine; a busy one gives less than the quota
    assert share.owed_s(took_s) == 0.0
    asyncio.run(share.remove())
    assert not share.path.exists()


def test_removing_a_group_ends_what_runs_in_it(quotas):
    share = quotas.create("left")
    process = subprocess.Popen(["sleep", "60"])
    share.admit(process.pid)
    asyncio.run(share.remove())
    assert process.wait(10) == -9
    assert not share.path.exists()


def test_groups_of_a_server_that_was_killed_are_removed_and_those_of_one_that_lives_are_not(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    abandoned, living = (tmp_path / f"fl-emulator-cpu-{pid}" for pid in (ended.pid, os.getppid()))
    for folder in (abandoned, living):
        (folder / "container").mkdir(parents=True)
    with pytest.raises(OSError, match=r"not empty|No such file"):
        Quotas(tmp_path, 0.5)  # plain folders keep their files: it gives up after it has cleared away
    assert not abandoned.exists()
    assert living.exists()
    assert Path(tmp_path).exists()
