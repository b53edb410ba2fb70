import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from baselines.flower.processes import HOME, of, processes

# A daemon as Ray starts them: another session, a parent that is gone, an environment that is gone too.
DAEMON = textwrap.dedent(
    """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {})
        os._exit(0)
    time.sleep(600)
    """
)
PYTHON = [sys.executable, "-c"]


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.02)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_daemon_that_has_hidden_itself_is_found_and_ended(tmp_path):
    before = children()
    with processes(tmp_path / "log", {}) as started:
        started.start([*PYTHON, DAEMON])
        until(lambda: len(of(started.folder)) == 2)
        living = of(started.folder)

    assert not any(process.is_running() for process in living)
    assert not started.folder.exists()
    assert children() == before, "an ended process was not buried"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_process_that_lets_only_root_look_into_it_is_found_by_its_command(tmp_path):
    """Flower's SuperExec is one. Here both processes are, because they have changed their user."""
    script = """
import os, sys, time
from pathlib import Path
from baselines.flower.processes import of
from metrics.collect.sampler import role_of
os.setresuid(65534, 65534, 65534)
if child := os.fork():
    print(sorted(process.pid for process in of(Path(sys.argv[1]).parent)) == sorted([os.getpid(), child]))
    print({role_of(process) for process in of(Path(sys.argv[1]).parent)})
    os.kill(child, 9)
else:
    time.sleep(600)
"""
    command = [*PYTHON, script, str(tmp_path / "authority.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["True", "{'controller'}"], done.stderr


def test_an_exception_in_the_block_ends_them_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), processes(tmp_path / "log", {}) as started:
        sleeper = started.start([*PYTHON, "import time; time.sleep(600)"])
        raise KeyboardInterrupt

    assert sleeper.poll() is not None


def test_processes_of_others_are_left_alone(tmp_path):
    other = subprocess.Popen([*PYTHON, "import time; time.sleep(600)"])
    dead = subprocess.Popen([*PYTHON, "raise SystemExit(7)"])
    until(lambda: psutil.Process(dead.pid).status() == psutil.STATUS_ZOMBIE)
    try:
        with processes(tmp_path / "log", {}) as started:
            started.start([*PYTHON, DAEMON])
        assert other.poll() is None
    finally:
        other.kill()
        assert other.wait() == -signal.SIGKILL
    assert dead.wait() == 7, "somebody else has collected its exit status"


def test_they_get_a_home_and_a_log(tmp_path):
    with processes(tmp_path / "log", {"GREETING": "hello"}) as started:
        script = f"import os; print(os.environ['GREETING'], os.environ['{HOME}'], os.getcwd())"
        started.start([*PYTHON, script]).wait()

    assert (tmp_path / "log").read_text().split() == ["hello", str(started.folder), str(started.folder)]


def test_the_folder_leaves_room_for_the_sockets_of_ray(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("long" * 20)))
    with processes(tmp_path / "log", {}) as started:
        longest = "ray/session_2030-12-31_23-59-59_999999_4194304/sockets/plasma_store"
        assert len(os.fsencode(started.folder / longest)) <= 107


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_they_end_when_the_process_that_started_them_is_killed(tmp_path, number):
    script = f"""
import time
from pathlib import Path
from baselines.flower.processes import processes
with processes(Path({str(tmp_path / "log")!r}), {{}}) as started:
    started.start([{sys.executable!r}, "-c", {DAEMON!r}])
    print(started.folder, flush=True)
    time.sleep(600)
"""
    caller = subprocess.Popen([*PYTHON, script], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    folder = Path(caller.stdout.readline().strip())
    until(lambda: len(of(folder)) == 2)

    caller.send_signal(number)
    caller.wait()
    caller.stdout.close()

    until(lambda: not of(folder) and not folder.exists())
