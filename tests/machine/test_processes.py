"""In processes of their own, because a subreaper would adopt what other tests leave."""

import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

pytestmark = pytest.mark.usefixtures("nothing_survives")

PRELUDE = """
import os, signal, subprocess, sys, time
import psutil
from machine.processes import adopting_orphans, cpu_seconds_of_children, descendants, end_descendants
PY = sys.executable
def ready(code):
    code += "; print('ready', flush=True); time.sleep(300)"
    process = subprocess.Popen([PY, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process
"""


def run(code):
    script = PRELUDE + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_a_daemon_of_a_session_of_its_own_is_found_and_ended():
    said = run("""
        with adopting_orphans():
            daemon = "import subprocess, sys; subprocess.Popen(['sleep', '300'], start_new_session=True)"
            subprocess.run([PY, "-c", daemon], check=True)
            print(len(descendants()), *end_descendants())
            print(len(descendants()))
    """)
    assert said[0] == "1"
    assert said[2:] == ["sleep", "0"]


def test_one_that_ignores_the_request_is_killed_and_one_that_is_stopped_is_not_forgotten():
    said = run("""
        ready("import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
        os.kill(ready("import time").pid, signal.SIGSTOP)
        start = time.monotonic()
        print(len(end_descendants(patience_s=0.5)), len(psutil.Process().children()), time.monotonic() - start < 10)
    """)
    assert said == ["2", "0", "True"]


def test_one_that_is_stopped_can_still_end_in_good_order():
    said = run("""
        code = "import os, signal, time; signal.signal(signal.SIGTERM, lambda *_: os._exit(os.write(1, b'bye')))"
        process = ready(code)
        process.send_signal(signal.SIGSTOP)
        end_descendants()
        print(process.stdout.read().decode())
    """)
    assert said == ["bye"]


def test_one_that_ends_by_itself_in_time_was_not_asked():
    said = run("""
        subprocess.Popen(["sleep", "0.3"])
        print(len(end_descendants(grace_s=20)))
    """)
    assert said == ["0"]


def test_the_children_of_others_are_kept_with_theirs():
    said = run("""
        kept = ready("import time, subprocess; subprocess.Popen(['sleep', '300'])")
        ended = ready("import time")
        print(len(end_descendants(keep=[kept.pid])), kept.poll(), len(psutil.Process(kept.pid).children()))
        end_descendants()
    """)
    assert said == ["1", "None", "1"]


def test_cpu_time_of_a_reaped_grandchild_counts():
    said = run("""
        busy = "import time\\nwhile time.process_time() < 0.4: pass"
        before = cpu_seconds_of_children()
        with adopting_orphans():
            subprocess.run([PY, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}])"])
            end_descendants(grace_s=60)
        print(cpu_seconds_of_children() - before >= 0.4)
    """)
    assert said == ["True"]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_child_is_told_of_its_parents_death(dies, tmp_path):
    """The parent is killed before or after its child asked to be told."""
    note = tmp_path / "note"
    child = f"""
import os, pathlib, signal, sys, time
from machine.processes import end_with_parent
def told(*_):
    pathlib.Path({str(note)!r}).write_text("told")
    os._exit(0)
signal.signal(signal.SIGTERM, told)
parent = int(sys.argv[1])
if {dies!r} == "before":
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent: time.sleep(0.01)
end_with_parent(parent)
os.kill(parent, signal.SIGKILL) if {dies!r} == "after" else None
time.sleep(300)
"""
    parent = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, str(os.getpid())])"
    done = subprocess.run([sys.executable, "-c", parent], check=False)
    assert done.returncode == -signal.SIGKILL
    end = time.monotonic() + 30
    while not note.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert note.read_text() == "told"


def test_a_nested_block_leaves_the_outer_one_as_it_was():
    said = run("""
        with adopting_orphans():
            with adopting_orphans():
                pass
            subprocess.run([PY, "-c", "import subprocess; subprocess.Popen(['sleep', '300'], stdout=-3)"], check=True)
            print(len(descendants()), *end_descendants())
    """)
    assert said[0] == "1"
    assert said[2:] == ["sleep"]


def test_outside_it_orphans_are_not_adopted():
    said = run("""
        with adopting_orphans():
            pass
        done = subprocess.run([PY, "-c", "import subprocess; print(subprocess.Popen(['sleep', '300'], stdout=-3).pid)"],
                              stdout=subprocess.PIPE, text=True)
        orphan = psutil.Process(int(done.stdout))
        print(orphan.ppid() == os.getpid())
        orphan.kill()
    """)
    assert said == ["False"]
    assert psutil.Process().is_running()


@pytest.mark.parametrize("fault", ["missing", "forbidden", "none"])
def test_the_end_of_a_child_is_seen_also_where_the_kernel_has_no_pidfd(fault):
    said = run(f"""
        import errno, selectors
        from machine.processes import end_of
        def refuse(pid):
            raise OSError(errno.ENOSYS, "Function not implemented")
        if {fault!r} == "missing":
            del os.pidfd_open
        if {fault!r} == "forbidden":
            os.pidfd_open = refuse
        child = subprocess.Popen([PY, "-c", "input()"], stdin=subprocess.PIPE)
        with end_of(child.pid) as ended, selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            print(len(selector.select(0.2)))
            child.communicate(b"go")
        child = subprocess.Popen([PY, "-c", ""])
        with end_of(child.pid) as ended, selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            print(len(selector.select(30)), psutil.Process(child.pid).status())  # not reaped
            child.wait()
        print(child.returncode)
    """)
    assert said == ["0", "1", "zombie", "0"]
