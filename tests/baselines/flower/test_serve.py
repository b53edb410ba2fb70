"""A real SuperLink hears this user, by its certificate, and no other user."""

import os
import subprocess
import sys

import pytest
import requests

from baselines.flower.federation import ENVIRONMENT, Federation
from baselines.flower.processes import processes
from baselines.flower.settings import FlowerSettings
from task.data import DataSettings
from tests.support.tiers import starts

pytestmark = pytest.mark.slow

ANOTHER_USER = 65534  # nobody
ASK = """
import os, socket, ssl, sys
port, user, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.setresuid(user, user, user)
method = "GET" if path == "/health" else "POST"
head = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/x-protobuf", "Content-Length: 0", "", ""]
with ssl._create_unverified_context().wrap_socket(socket.socket()) as link:
    link.connect(("127.0.0.1", port))
    print("connected", flush=True)
    link.sendall("\\r\\n".join(head).encode())
    print(link.recv(12))
"""


@pytest.fixture(scope="module")
@starts("server")
def superlink(tmp_path_factory):
    """Give the address of a SuperLink, and its federation's keys."""
    folder = tmp_path_factory.mktemp("superlink")
    with processes(folder / "log", ENVIRONMENT) as started:
        federation = Federation(started, FlowerSettings(DataSettings(folder), startup_timeout_s=120))
        federation.start_superlink()
        yield federation.address, started.keys


def test_it_serves_those_who_trust_its_authority(superlink):
    address, keys = superlink
    assert requests.get(f"https://{address}/health", verify=str(keys.authority), timeout=10).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{address}/health", timeout=10)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"http://{address}/health", timeout=10)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("path", ["/health", "/v1/control/start-run", "/v1/runtime/acquire-task"])
def test_another_user_hears_nothing(superlink, path):
    port = superlink[0].partition(":")[2]

    def heard(user: int) -> bytes:
        command = [sys.executable, "-c", ASK, port, str(user), path]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).stdout

    assert b"HTTP/1.1" in heard(os.getuid())
    assert heard(ANOTHER_USER) in (b"connected\n", b"connected\nb''\n")
