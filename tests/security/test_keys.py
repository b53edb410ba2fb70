"""Other users of the machine reach every port of the embedded server and of its containers: none answers them."""

import os
import socket
import subprocess
import sys

import psutil
import pytest
import requests

from machine.handover import TOKEN_HEADER, piped
from serverless.emulator.containers import action_proxy
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from tests.support.peeper import PLATFORMS, Peeper
from tests.support.tiers import starts

LOCATION = "/v2/projects/p/locations/l"
PATHS = {
    "openwhisk": ["/api/v1/namespaces", "/api/v1/namespaces/_/actions/peeper", "/api/v1/namespaces/_/activations"],
    "openfaas": [
        *("/system/info", "/system/functions", "/system/function/peeper", "/function/peeper", "/function/peeper/x"),
        *("/async-function/peeper", "/embedded/images/" + "0" * 64, "/function/nobody"),
    ],
    "google": [f"{LOCATION}/functions", f"{LOCATION}/functions:generateUploadUrl", f"{LOCATION}/operations/1",
               "/upload/guess", f"/run{LOCATION.removeprefix('/v2')}/functions/peeper"],
}  # fmt: skip
WRONG = [{}, {"Authorization": "Basic dXNlcjpndWVzcw=="}, {"Authorization": "Bearer guess"}]


@pytest.fixture(scope="module")
@starts("server")
def handle(tmp_path_factory):
    settings = EmulatorSettings(pool_memory_mb=2048, invocations_per_minute=1000)
    with start_emulator(settings, tmp_path_factory.mktemp("emulator") / "log", PLATFORMS) as server:
        yield server


@pytest.fixture(params=PLATFORMS)
def peeper(request, handle):
    """The function of each platform in turn; it has run, so that a container of it is warm."""
    deployed = _DEPLOYED.get((handle.pid, request.param)) or Peeper(request.param, handle)
    _DEPLOYED[handle.pid, request.param] = deployed
    deployed.seen = deployed.call()
    return deployed


_DEPLOYED = {}


def ports_of(process):
    family = [process, *process.children(recursive=True)]
    found = {connection.laddr.port for one in family for connection in one.net_connections("tcp")
             if connection.status == psutil.CONN_LISTEN}  # fmt: skip
    assert found
    return found


def test_every_path_but_health_asks_for_the_key(peeper, handle):
    api = handle.addresses[peeper.platform]
    for path in PATHS[peeper.platform]:
        for method in ("GET", "POST", "PUT", "DELETE"):
            for headers in WRONG:
                answer = requests.request(method, api + path, json={}, headers=headers, timeout=30)
                assert answer.status_code in (401, 403, 405), (method, path, headers, answer.text)
                assert "Set-Cookie" not in answer.headers
    assert requests.get(f"{handle.addresses['openfaas']}/healthz", timeout=30).text == "OK"


@pytest.mark.parametrize("path", ["/function/peeper", "/async-function/peeper", "/system/functions"])
def test_the_key_is_asked_for_before_the_body_is_read(handle, path):
    host, port = handle.addresses["openfaas"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n"
        connection.sendall(f"{head}\r\n{{".encode())
        assert b" 401 " in connection.recv(1 << 16)


def containers(handle, peeper):
    """The processes of a platform's containers: the action proxy, the watchdog or the framework."""
    program = {"openwhisk": "action_proxy", "openfaas": "watchdog", "google": "guard"}[peeper.platform]
    children = psutil.Process(handle.pid).children()
    return [child for child in children if any(program in word for word in child.cmdline())]


def test_containers_answer_their_server_alone(peeper, handle):
    """Each of their ports, also that of the function behind the watchdog, with and without somebody's guess."""
    (container,) = containers(handle, peeper)
    ports = ports_of(container)
    assert len(ports) == (2 if peeper.platform == "openfaas" else 1)
    if peeper.platform == "openwhisk":
        return  # its proxy takes one connection at a time, and its server's is open: the next test asks one alone
    for port in ports:
        for path in ("/", "/run", "/ready", "/_/ready", "/_/health"):
            for method in ("GET", "POST"):
                for headers in ({}, {TOKEN_HEADER: "guess"}, {TOKEN_HEADER: ""}):
                    url = f"http://127.0.0.1:{port}{path}"
                    answer = requests.request(method, url, json={}, headers=headers, timeout=30)
                    assert (answer.status_code, answer.text) == (403, ""), (method, path)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{")
            assert b" 403 " in connection.recv(1 << 16)  # before the body is there
    peeper.call()


@pytest.mark.server
def test_an_action_proxy_answers_its_server_alone(tmp_path):
    """A stranger's code would run as the user of the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener, piped("right") as token:
        port = listener.getsockname()[1]
        command = [sys.executable, "-P", action_proxy.__file__, str(listener.fileno()), str(os.getpid())]
        process = subprocess.Popen(command, cwd=tmp_path, stdin=token, pass_fds=[listener.fileno()])
    answers = []
    try:
        for headers in ({}, {TOKEN_HEADER: "guess"}, {TOKEN_HEADER: ""}, {TOKEN_HEADER: "right"}):
            init = {"value": {"code": "def main(args):\n    return {}\n", "main": "main"}}
            headers |= {"Connection": "close"}  # it serves one connection at a time
            answers.append(requests.post(f"http://127.0.0.1:{port}/init", json=init, headers=headers, timeout=60))
    finally:
        process.kill()
        process.wait()
    assert [answer.status_code for answer in answers] == [403, 403, 403, 200]


@pytest.mark.server
@pytest.mark.parametrize("program", [["-P", action_proxy.__file__], ["-m", "serverless.emulator.openfaas.watchdog"]])
def test_a_container_without_a_token_does_not_start(program):
    """A token that is lost on the way must not open the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, *program, str(listener.fileno()), str(os.getpid())]
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert b"no token" in ended.stderr


def test_a_function_sees_neither_the_key_nor_its_containers_token(peeper, handle):
    seen = peeper.seen
    assert seen["stdin"] == ""  # it was read once, before the function's code
    told = str(seen)
    assert handle.auth not in told
    assert handle.auth.partition(":")[2] not in told
    holders = {name for name in seen["variables"] if "token" in name.lower()}
    assert holders == ({"fl_upstream_token"} if peeper.platform == "openfaas" else set())
    assert seen["variables"].get("fl_upstream_token", "stdin") == "stdin"  # the way, not the token
    assert TOKEN_HEADER.lower() not in {name.lower() for name in seen.get("headers", {})}
    assert "authorization" not in {name.lower() for name in seen.get("headers", {})}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_what_a_web_page_could_send_is_refused_also_with_the_key(peeper, kind):
    """A page cannot read the key; but a browser that knows it, by a tool of the platform's, would send it along."""
    headers = {"Content-Type": kind} if kind else {}
    answer = peeper.session.post(peeper.url, data=b"{}", headers=headers, timeout=30)
    assert answer.status_code == 415


@pytest.mark.parametrize("name", ["attacker.example", "attacker.example:8080", "127.0.0.1.attacker.example", "[", ""])
def test_a_page_whose_name_leads_to_loopback_is_refused(peeper, name):
    answer = peeper.session.post(peeper.url, json={}, headers={"Host": name}, timeout=30)
    assert answer.status_code in (400, 421)


def test_its_own_names_are_not_refused(peeper):
    answer = peeper.session.post(peeper.url, json={}, headers={"Host": "localhost:1"}, timeout=30)
    assert answer.status_code == 200
