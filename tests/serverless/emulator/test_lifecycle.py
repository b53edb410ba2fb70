"""Starting, and ending without a trace, however it ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import requests

from serverless.emulator.launcher import EmulatorStartError, start_emulator
from serverless.emulator.settings import EmulatorSettings

PID = "import os, time\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return {'pid': os.getpid()}\n"
# Of the guest in OpenWhisk's own set-ups (ansible/files/auth.guest): everybody knows it.
PUBLISHED_KEY = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
PROGRAM = [sys.executable, "-m", "serverless.emulator"]


def put_and_call(api_host, auth, payload=None):
    """Make a container; return its pid."""
    session = requests.Session()
    session.auth = tuple(auth.split(":"))
    url = f"{api_host}/api/v1/namespaces/_/actions/pid"
    assert session.put(url, json={"exec": {"kind": "python:3", "code": PID}}, timeout=10).status_code == 200
    answer = session.post(f"{url}?blocking=true&result=true", json=payload or {}, timeout=30)
    return answer.json()["pid"]


def traces(pid):
    """What a server with this pid leaves on the machine."""
    groups = Path("/sys/fs/cgroup").glob(f"**/fl-emulator-{pid}")
    return [*Path(tempfile.gettempdir()).glob(f"fl-emulator-{pid}-*"), *groups]


@pytest.mark.server
def test_the_launcher_leaves_nothing(tmp_path):
    with start_emulator(EmulatorSettings(), tmp_path / "deep" / "emulator.log") as handle:
        container = put_and_call(handle.api_host, handle.auth)
        family = [handle.pid, *(child.pid for child in psutil.Process(handle.pid).children(recursive=True))]
        assert container in family
        assert traces(handle.pid)
        assert handle.auth not in repr(handle)
    assert not [pid for pid in family if psutil.pid_exists(pid)]
    assert not traces(handle.pid)
    assert "memory limits held by" in (tmp_path / "deep" / "emulator.log").read_text()


def test_the_launcher_stops_a_server_that_is_busy_and_has_a_queue(start, whisk):
    busy = start(pool_memory_mb=256, memory_max_mb=256)
    busy.put("slow", PID)
    for _ in range(5):
        busy.invoke("slow", {"s": 60})
    assert busy.handle.pid != whisk.handle.pid
    # the fixture's end stops it; a server that waits for its functions would run into the time-out and be killed


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_busy_server_and_its_containers(number):
    with subprocess.Popen(PROGRAM, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        ready = json.loads(server.stdout.readline())
        container = put_and_call(ready["api_host"], ready["auth"])
        url = f"{ready['api_host']}/api/v1/namespaces/_/actions/pid"
        requests.post(url, json={"s": 60}, auth=tuple(ready["auth"].split(":")), timeout=10)
        server.send_signal(number)
        assert server.wait(10) == 0
        assert b"Traceback" not in server.stderr.read()
    assert not psutil.pid_exists(container)
    assert not traces(ready["pid"])


@pytest.mark.server
def test_kill_9_ends_running_and_paused_containers_too(tools, tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"pause_after_s": 0.1}))
    with subprocess.Popen([*PROGRAM, "--config", settings], stdout=subprocess.PIPE) as server:
        ready = json.loads(server.stdout.readline())
        paused = psutil.Process(put_and_call(ready["api_host"], ready["auth"]))
        assert tools.eventually(lambda: paused.status() == psutil.STATUS_STOPPED)
        url = f"{ready['api_host']}/api/v1/namespaces/_/actions/busy"
        auth = tuple(ready["auth"].split(":"))
        requests.put(url, json={"exec": {"kind": "python:3", "code": PID}}, auth=auth, timeout=10)
        requests.post(url, json={"s": 60}, auth=auth, timeout=10)
        family = psutil.Process(server.pid)
        assert tools.eventually(lambda: len(family.children()) == 2)
        containers = [child.pid for child in family.children()]
        server.kill()
        server.wait(10)
        assert tools.eventually(lambda: not [pid for pid in containers if psutil.pid_exists(pid)])
    with start_emulator(EmulatorSettings(), tmp_path / "next.log"):
        assert not traces(ready["pid"]), "the next server clears away what a killed one left"


@pytest.mark.server
def test_it_ends_with_its_parent(tools, tmp_path):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\n"
            "from serverless.emulator.launcher import start_emulator\n"
            "from serverless.emulator.settings import EmulatorSettings\n"
            "with start_emulator(EmulatorSettings(), Path(sys.argv[1])) as e:\n"
            "    print(e.pid, e.api_host, e.auth, flush=True)\n    time.sleep(600)\n",
            tmp_path / "emulator.log",
        ],
        stdout=subprocess.PIPE,
    )
    with parent:
        pid, api_host, auth = parent.stdout.readline().decode().split()
        container = put_and_call(api_host, auth)
        parent.kill()
    assert tools.eventually(lambda: not psutil.pid_exists(int(pid)) and not psutil.pid_exists(container))
    assert not traces(pid), "it had the time to clean up"


def test_every_start_has_a_key_of_its_own_and_none_is_in_the_process_list(start):
    first, second = start(), start()
    assert first.handle.auth != second.handle.auth
    for process in psutil.process_iter(["cmdline"]):
        assert first.handle.auth.split(":")[1] not in " ".join(process.info["cmdline"] or [])
    log = Path(psutil.Process(first.handle.pid).open_files()[0].path)
    assert first.handle.auth.split(":")[1] not in log.read_text()


@pytest.mark.server
@pytest.mark.parametrize("by_file", [True, False])
def test_a_key_can_be_given_by_file_or_variable(tmp_path, by_file):
    key = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:secret"
    file = tmp_path / "key"
    file.write_text(key + "\n")
    command = [*PROGRAM, *(["--auth-file", str(file)] if by_file else [])]
    environment = {**os.environ, **({} if by_file else {"FL_EMULATOR_AUTH": key})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
        ready = json.loads(server.stdout.readline())
        answer = requests.get(f"{ready['api_host']}/api/v1/namespaces", auth=tuple(key.split(":")), timeout=10)
        server.terminate()
    assert ready["auth"] == key
    assert answer.status_code == 200


@pytest.mark.server
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines"),
        (["--host", "0.0.0.0", "--auth-file", "{published}"], "not the guest's that OpenWhisk publishes"),
        (["--config", "{missing}"], "No such file"),
        (["--config", "{bad}"], "unknown emulator setting(s) memory_max; known: pool_memory_mb,"),
        (["--auth-file", "{bad}"], "must have the form uuid:key"),
        (["--host", "203.0.113.1", "--auth-file", "{key}"], "Cannot assign requested address"),
    ],
)
def test_it_refuses_to_start_and_says_why(tmp_path, arguments, says):
    (tmp_path / "bad").write_text('{"memory_max": 1}' if "--config" in arguments else "no colon")
    (tmp_path / "key").write_text("me:secret")
    (tmp_path / "published").write_text(PUBLISHED_KEY)
    paths = {name: tmp_path / name for name in ("missing", "bad", "key", "published")}
    command = [*PROGRAM, *(argument.format(**paths) for argument in arguments)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.server
def test_another_address_with_a_key_of_ones_own(tmp_path):
    file = tmp_path / "key"
    file.write_text("me:secret")
    command = [*PROGRAM, "--host", "0.0.0.0", "--auth-file", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        ready = json.loads(server.stdout.readline())
        port = ready["api_host"].rpartition(":")[2]
        answer = requests.get(f"http://127.0.0.1:{port}/api/v1/namespaces", auth=("me", "secret"), timeout=10)
        server.terminate()
    assert answer.status_code == 200


@pytest.mark.server
def test_a_launch_that_fails_shows_the_log(tmp_path, monkeypatch):
    (tmp_path / "aiohttp.py").write_text("raise ImportError('no server today')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        pytest.raises(EmulatorStartError, match="no server today"),
        start_emulator(EmulatorSettings(), tmp_path / "emulator.log"),
    ):
        pass
