"""A second user of this machine tries every port, socket and file of a run while it goes on, and gets nothing."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from serverless.emulator.front import is_loopback

STRANGER = Path(__file__).with_name("stranger.py")
PRIVATE = ("environ", "mem", "maps")  # of /proc/PID; the command line is everybody's
RUNS = {
    "openwhisk": ["backends=[openwhisk]", "platform=openwhisk"],
    "fedkeeper": ["backends=[openwhisk]", "platform=openwhisk", "topology=fedkeeper"],
    "openfaas": ["backends=[openfaas]", "platform=openfaas"],
    "google": ["backends=[google]", "platform=google"],
    "simulation": ["backends=[flower]", "flower=simulation"],
    "deployment": ["backends=[flower]", "flower=deployment", "clients=4"],
}
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.server,
    pytest.mark.training,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user"),
]


def nobodys_uid():
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(54321, 65000) if uid not in taken)


@contextmanager
def user(uid):
    """A process of a user; yields a function from what it is told to what it got."""
    command = [sys.executable, str(STRANGER), str(uid)]
    process = subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(told):
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        yield ask
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


@pytest.fixture
def world():
    """A folder that everybody may enter, with a temporary folder as /tmp is: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="fl-world-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def seen_of(run, world):
    """All that the processes of a run listen on, what lies in their folders, and what of them is in /proc."""
    processes = [run, *run.children(recursive=True)]
    folders = {world / "results", *(world / "tmp").iterdir()}
    told = {"ports": set(), "sockets": set(), "files": set(), "folders": set(), "open": set()}
    for process in processes:
        with suppress(psutil.Error, OSError):
            told["files"] |= {f"/proc/{process.pid}/{name}" for name in PRIVATE}
            told["folders"] |= {f"/proc/{process.pid}/{name}" for name in ("cwd", "fd")}
            folders |= {home} if (home := Path(process.cwd())).name.startswith("fl-") and home != world else set()
            told["files"] |= {file.path for file in process.open_files() if file.path.startswith("/dev/shm/")}
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    told["ports"].add(connection.laddr.port)
                    told["open"] |= (
                        set() if is_loopback(connection.laddr.ip.removeprefix("::ffff:")) else {connection.laddr}
                    )
            told["sockets"] |= {connection.laddr for connection in process.net_connections("unix") if connection.laddr}
    for folder in folders:
        for place, inside, files in os.walk(folder):
            told["folders"] |= {place, *(str(Path(place, name)) for name in inside)}
            told["files"] |= {str(Path(place, name)) for name in files}
    return {name: sorted(found) for name, found in told.items()}


def is_about(got, told):
    """Whether it was there all the time: a port, a pid or a name may be somebody else's a moment later."""
    return any(str(one) in got for kind in told.values() for one in kind)


@pytest.mark.parametrize("name", RUNS)
def test_a_second_user_gets_nothing_of_a_run(name, world, mnist_settings):
    words = ["model=mlp50", "rounds=3", f"out={world / 'results'}", f"data.cache={mnist_settings.cache}", *RUNS[name]]
    environment = os.environ | {"TMPDIR": str(world / "tmp")}
    looks, met, mine, opened, ports, sockets = 0, set(), set(), set(), set(), set()
    with user(nobodys_uid()) as stranger, user(os.getuid()) as owner, (world / "said").open("wb") as said:
        command = [sys.executable, "-m", "experiments.run", "+exp=smoke", *words]
        run = psutil.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT, umask=0o022)
        try:
            while run.poll() is None:
                told = seen_of(run, world)
                got = stranger(told)
                still = seen_of(run, world) if got else told
                met |= {one for one in got if is_about(one, still)}
                opened |= {str(one) for one in told["open"]}
                ports |= set(told["ports"])
                sockets |= set(told["sockets"])
                if looks % 5 == 2:  # the same tries by the run's own user, to know that they are worth something
                    local = {**told, "ports": [], "sockets": [], "folders": told["folders"][:20]}
                    mine |= {one.split()[0] for one in owner(local)}
                looks += 1
                time.sleep(0.2)
        finally:
            with suppress(psutil.NoSuchProcess):
                run.terminate()
            run.wait(60)
    assert run.returncode == 0, (world / "said").read_text()
    print(f"{name}: {looks} looks, {len(ports)} ports, {len(sockets)} Unix sockets")
    assert met == set()
    assert opened == set()  # all listen on loopback
    assert looks >= 3
    assert len(ports) >= 2
    assert {"opened", "listed", "wrote"} <= mine


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_stranger_finds_what_is_open(world, mode):
    """What it is told of and may have, it gets: a test that can only pass is none."""
    (world / "file").touch()
    (world / "file").chmod(mode)
    told = {"ports": [], "sockets": [], "files": [str(world / "file")], "folders": [str(world / "tmp")]}
    with user(nobodys_uid()) as stranger:
        got = stranger(told)
    assert [one for one in got if "file" in one] == ([f"opened {world / 'file'} (0)"] if mode == 0o644 else [])
    assert f"wrote into {world / 'tmp'}" in got
