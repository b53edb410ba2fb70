"""Warm and cold, budget and queue, pause and end: what happens to containers, seen from outside."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from machine.clocks import now

PID = "import os, time\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return {'pid': os.getpid()}\n"
SMALL = {"memory": 128}


def pid_of(whisk, name, **payload):
    return whisk.call(name, payload, result="true").json()["pid"]


def test_cold_then_warm(whisk, tools):
    whisk.put("warmth", PID)
    cold, warm = (whisk.call("warmth").json() for _ in range(2))
    assert tools.annotations(cold)["initTime"] > 0
    assert cold["duration"] >= tools.annotations(cold)["initTime"], "the duration includes the initialisation"
    assert "initTime" not in tools.annotations(warm)
    assert warm["response"]["result"] == cold["response"]["result"], "the same process"


def test_module_state_survives_between_warm_calls(whisk):
    whisk.put("counter", "n = 0\ndef main(args):\n    global n\n    n += 1\n    return {'n': n}\n")
    assert [whisk.call("counter", result="true").json()["n"] for _ in range(3)] == [1, 2, 3]


def test_an_update_is_not_served_by_the_old_code(whisk):
    whisk.put("renewed", "def main(args):\n    return {'version': 1}\n")
    assert whisk.call("renewed", result="true").json() == {"version": 1}
    whisk.put("renewed", "def main(args):\n    return {'version': 2}\n", overwrite=True)
    assert whisk.call("renewed", result="true").json() == {"version": 2}


def test_actions_do_not_share_processes(whisk):
    whisk.put("one", PID)
    whisk.put("other", PID)
    assert pid_of(whisk, "one") != pid_of(whisk, "other")


def test_as_many_at_once_as_the_budget_has_room_for_and_the_rest_wait(start):
    whisk = start(pool_memory_mb=512)
    whisk.put("sleeper", PID, limits=SMALL)
    with ThreadPoolExecutor(10) as callers:
        records = list(callers.map(lambda _: whisk.call("sleeper", {"s": 0.8}).json(), range(10)))
    assert all(record["response"]["success"] for record in records)
    assert len({record["response"]["result"]["pid"] for record in records}) == 4
    events = sorted([(r["start"], 1) for r in records] + [(r["end"], -1) for r in records])
    running = most = 0
    for _, change in events:
        running += change
        most = max(most, running)
    assert most == 4


def test_the_least_recently_used_idle_container_makes_room(start, tools):
    whisk = start(pool_memory_mb=512)
    for name in ("a", "b", "c"):
        whisk.put(name, PID, limits={"memory": 256})
    a, b = pid_of(whisk, "a"), pid_of(whisk, "b")
    assert pid_of(whisk, "a") == a
    pid_of(whisk, "c")
    assert not psutil.pid_exists(b)
    assert pid_of(whisk, "a") == a, "used more recently than b, and still warm"
    assert "initTime" in tools.annotations(whisk.call("b").json())
    assert len(whisk.containers()) == 2


def test_several_small_idle_ones_make_room_for_a_large_one(start):
    whisk = start(pool_memory_mb=512)
    whisk.put("small", PID, limits=SMALL)
    whisk.put("large", PID, limits={"memory": 512})
    with ThreadPoolExecutor(3) as callers:
        list(callers.map(lambda _: pid_of(whisk, "small", s=1.0), range(3)))
    assert len(whisk.containers()) == 3
    large = pid_of(whisk, "large")
    assert [child.pid for child in whisk.containers()] == [large]


def test_a_large_one_waits_for_busy_ones_and_is_not_overtaken(start, tools):
    whisk = start(pool_memory_mb=512)
    whisk.put("small", PID, limits=SMALL)
    whisk.put("large", PID, limits={"memory": 512})
    small = whisk.invoke("small", {"s": 0.5}).json()["activationId"]
    large = whisk.invoke("large").json()["activationId"]
    accepted_ms = now() * 1000
    late = whisk.invoke("small").json()["activationId"]
    small, large, late = (whisk.record(activation) for activation in (small, large, late))
    assert small["end"] <= large["start"]
    assert tools.annotations(large)["waitTime"] >= large["start"] - accepted_ms - 5, (
        "clocks are read to the millisecond"
    )
    assert large["start"] <= late["start"], "first come, first served"


def test_idle_containers_are_paused_and_wake_up(start, tools):
    whisk = start(pause_after_s=0.2)
    code = (
        "import os, threading, time\nticks = 0\n"
        "def tick():\n    global ticks\n    while True:\n        ticks += 1\n        time.sleep(0.01)\n"
        "threading.Thread(target=tick, daemon=True).start()\n"
        "def main(args):\n    return {'pid': os.getpid(), 'ticks': ticks}\n"
    )
    whisk.put("pausing", code)
    first = whisk.call("pausing", result="true").json()
    process = psutil.Process(first["pid"])
    assert tools.eventually(lambda: process.status() == psutil.STATUS_STOPPED)
    time.sleep(1.0)
    again = whisk.call("pausing").json()
    assert again["response"]["result"]["pid"] == first["pid"]
    assert "initTime" not in tools.annotations(again)
    assert again["response"]["result"]["ticks"] < first["ticks"] + 90, "it got no CPU time while it was paused"
    assert tools.eventually(lambda: process.status() == psutil.STATUS_STOPPED), "and it is paused again"


def test_idle_containers_are_ended(start, tools):
    whisk = start(pause_after_s=0.1, destroy_after_s=0.4)
    whisk.put("ending", PID)
    pid = pid_of(whisk, "ending")
    assert tools.eventually(lambda: not psutil.pid_exists(pid))
    assert pid_of(whisk, "ending") != pid


def test_a_container_that_dies_while_idle_is_replaced(whisk, tools):
    whisk.put("mortal", PID)
    pid = pid_of(whisk, "mortal")
    os.kill(pid, signal.SIGKILL)
    assert tools.eventually(lambda: not psutil.pid_exists(pid))
    assert pid_of(whisk, "mortal") != pid


def test_processes_that_a_function_starts_end_with_its_container(start, tools):
    whisk = start(destroy_after_s=0.5, pause_after_s=0.4)
    code = (
        "import subprocess\n"
        "def main(args):\n"
        "    return {'pid': subprocess.Popen(['sleep', '600'], start_new_session=args['own']).pid}\n"
    )
    whisk.put("parent", code)
    same_group = whisk.call("parent", {"own": False}, result="true").json()["pid"]
    assert tools.eventually(lambda: not psutil.pid_exists(same_group))
    if whisk.handle.memory_enforcement.startswith("cgroup"):
        own_session = whisk.call("parent", {"own": True}, result="true").json()["pid"]
        assert tools.eventually(lambda: not psutil.pid_exists(own_session)), "its cgroup gives it away"


def test_a_container_has_a_clean_environment_and_its_settings(start, monkeypatch):
    monkeypatch.setenv("A_SECRET_OF_THE_HOST", "x")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    whisk = start(container_env={"OMP_NUM_THREADS": "1"})
    whisk.put("nosy", "import os\ndef main(args):\n    return {**os.environ, 'cwd': os.getcwd()}\n")
    seen = whisk.call("nosy", result="true").json()
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["FL_PROCESS_ROLE"] == "nosy"
    assert "A_SECRET_OF_THE_HOST" not in seen
    assert "PYTHONPATH" not in seen
    assert seen["HOME"] == seen["TMPDIR"] == seen["cwd"]
    assert whisk.handle.auth not in str(seen)
    environment = psutil.Process(whisk.handle.pid).environ()
    assert environment["FL_PROCESS_ROLE"] == "emulator"


def test_the_memory_group_holds_the_container(whisk):
    if not whisk.handle.memory_enforcement.startswith("cgroup"):
        pytest.skip("no cgroups can be written here")
    whisk.put("grouped", PID, limits={"memory": 192})
    pid = pid_of(whisk, "grouped")
    assert f"fl-emulator-{whisk.handle.pid}/grouped-" in Path(f"/proc/{pid}/cgroup").read_text()


def test_many_queued_activations_are_all_answered(start):
    whisk = start(pool_memory_mb=256, memory_max_mb=256)
    whisk.put("quick", "def main(args):\n    return {'i': args['i']}\n", limits=SMALL)
    sessions = threading.local()

    def submit(i):
        sessions.one = getattr(sessions, "one", None) or type(whisk)(whisk.handle)
        return sessions.one.invoke("quick", {"i": i}).json()["activationId"]

    with ThreadPoolExecutor(8) as callers:
        ids = list(callers.map(submit, range(300)))
    assert len(set(ids)) == 300
    assert [whisk.record(activation)["response"]["result"]["i"] for activation in ids] == list(range(300))
    assert len(whisk.containers()) <= 2
