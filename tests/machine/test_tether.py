import subprocess
import sys
import time

import psutil
import pytest

from machine import tether
from tests.support.survivors import assert_ends

PARENT = """
import subprocess, sys
from machine.tether import tethered
child = subprocess.Popen(tethered(["/bin/sleep", "60"]))
print(child.pid, flush=True)
child.wait()
"""


def test_a_tethered_program_runs_in_the_place_of_the_tether():
    done = subprocess.run(tether.tethered(["/bin/echo", "a b"]), capture_output=True, text=True, check=True)
    assert done.stdout == "a b\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_it_ends_when_its_parent_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    while child.cmdline()[:1] != ["/bin/sleep"]:  # nothing at all for a moment, while it changes
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    assert_ends(child)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_it_does_not_start_when_its_parent_is_gone_already():
    command = tether.tethered(["/bin/echo", "started"])
    command[command.index("/bin/echo") - 1] = "1"  # as if the parent had ended and left the program to process 1
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 1
