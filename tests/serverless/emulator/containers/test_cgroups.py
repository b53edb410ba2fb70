"""Memory cgroups: version 1 for real where it can be written, version 2 against the files the kernel documents."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from machine.cgroups import cgroup_folders
from serverless.emulator.containers.cgroups import memory_groups
from serverless.emulator.containers.memory_limits import Watchdog, memory_enforcer


@pytest.fixture
def files_only(tmp_path, monkeypatch):
    """A machine with one version-2 hierarchy, in which a group's files go with the group as they do in the kernel."""
    monkeypatch.setattr(Path, "rmdir", shutil.rmtree)
    mount = tmp_path / "cgroup"
    (mount / "app" / "run").mkdir(parents=True)
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text("0::/app/run\n")
    (proc / "mounts").write_text(f"cgroup2 {mount} cgroup2 rw 0 0\n")
    return proc, mount


def test_version_2_writes_what_the_kernel_documents(files_only):
    proc, mount = files_only
    groups = memory_groups(proc)
    assert groups.name == "cgroup-v2"
    own = mount / "app" / "run" / f"fl-emulator-{os.getpid()}"
    assert (own / "cgroup.subtree_control").read_text() == "+memory +cpu"
    group = groups.create("one", 256 << 20)
    assert (own / "one" / "memory.max").read_text() == str(256 << 20)
    group.admit(4711)
    assert (own / "one" / "cgroup.procs").read_text() == "4711"
    (own / "one" / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n")
    assert not group.exhausted()
    (own / "one" / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n")
    assert group.exhausted()
    (own / "one" / "cgroup.procs").write_text("")
    asyncio.run(group.remove())
    asyncio.run(groups.close())
    assert not own.exists()


def test_version_2_goes_up_where_the_own_group_cannot_have_children(files_only, monkeypatch):
    proc, mount = files_only
    write_text = Path.write_text

    def refuse_below_processes(path, *arguments, **options):
        if path.name == "cgroup.subtree_control" and path.parent.parent.name == "run":
            raise OSError(16, "Device or resource busy")
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse_below_processes)
    groups = memory_groups(proc)
    assert (mount / "app" / f"fl-emulator-{os.getpid()}").is_dir()
    assert list((mount / "app" / "run").iterdir()) == [], "nothing is left where it did not work"
    asyncio.run(groups.close())


def test_what_a_killed_server_left_is_cleared_away(files_only):
    proc, mount = files_only
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = mount / "app" / "run" / f"fl-emulator-{ended.pid}"
    (abandoned / "container").mkdir(parents=True)
    living = mount / "app" / "run" / f"fl-emulator-{os.getppid()}"
    living.mkdir()
    asyncio.run(memory_groups(proc).close())
    assert not abandoned.exists()
    assert living.exists()


def test_without_writable_groups_there_is_the_watchdog_unless_cgroups_are_demanded(monkeypatch):
    monkeypatch.setattr("serverless.emulator.containers.memory_limits.memory_groups", lambda: None)
    assert isinstance(memory_enforcer("auto"), Watchdog)
    with pytest.raises(OSError, match="choose auto or watchdog"):
        memory_enforcer("cgroup")


def test_no_mounts_no_groups(tmp_path):
    assert memory_groups(tmp_path) is None


def test_the_kernel_kills_for_memory_and_says_so():
    writable = [folder for folder in cgroup_folders("memory") if os.access(folder / "cgroup.procs", os.W_OK)]
    if not any((folder / "memory.limit_in_bytes").exists() for folder in writable):
        pytest.skip("no memory cgroup of version 1 can be written here")
    groups = memory_groups()
    assert groups.name == "cgroup-v1"
    group = groups.create("eater", 64 << 20)
    code = "import sys; sys.stdin.readline(); x = bytearray(b'x' * (300 << 20))"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as eater:
        group.admit(eater.pid)
        assert not group.exhausted()
        eater.communicate(b"\n")
    assert eater.returncode == -9
    assert group.exhausted()
    asyncio.run(group.remove())
    asyncio.run(groups.close())
    assert not group.path.parent.exists()
