"""Ray, in the environment that a federation gives it, listens on loopback and answers those who know its token."""

import sys
import time

import grpc
import psutil
import pytest
import requests

from baselines.flower.federation import ENVIRONMENT
from baselines.flower.processes import of, processes
from tests.support.tiers import starts

pytestmark = pytest.mark.slow

METHODS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Pull",
    "CoreWorkerService/PushTask",  # runs code
)
START = """
import pathlib, ray, time
ray.init(include_dashboard=False, num_cpus=1)
ray.get(ray.remote(lambda: 1).remote())
pathlib.Path("ready").touch()
time.sleep(600)
"""


@pytest.fixture(scope="module")
@starts("server")
def cluster(tmp_path_factory):
    """Give the addresses on which Ray's processes listen, and the token."""
    log = tmp_path_factory.mktemp("ray") / "log"
    with processes(log, ENVIRONMENT) as started:
        driver = started.start([sys.executable, "-c", START])
        deadline = time.monotonic() + 120
        while not (started.folder / "ready").exists():
            assert driver.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        found = [each for process in of(started.folder) for each in process.net_connections("tcp")]
        listening = {each.laddr for each in found if each.status == psutil.CONN_LISTEN}
        yield listening, started.keys.ray_token.read_text()


def answers(port: int, token: str | None) -> set[str]:
    """Return how a port answers requests that Ray's services know; each is known at one kind of port."""
    headers = bearer(token)
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        said = {asked(channel, method, headers) for method in METHODS} - {"UNIMPLEMENTED"}
    if said != {"UNAVAILABLE"}:
        return said
    with requests.Session() as session:  # it does not speak gRPC
        session.trust_env = False
        path = "get_or_create_runtime_env"
        return {str(session.post(f"http://127.0.0.1:{port}/{path}", headers=headers, timeout=20).status_code)}


def bearer(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def asked(channel: grpc.Channel, method: str, headers: dict[str, str]) -> str:
    try:
        channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=20, metadata=tuple(headers.items()))
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def test_it_listens_on_loopback_only(cluster):
    listening, _ = cluster
    assert len(listening) >= 4
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize("token", [None, "0" * 64], ids=["none", "wrong"])
def test_no_port_answers_without_the_token(cluster, token):
    listening, _ = cluster
    said = {address.port: answers(address.port, token) for address in listening}
    assert all(said.values()), said
    assert set().union(*said.values()) <= {"UNAUTHENTICATED", "401", "403"}, said


def test_the_token_opens_it(cluster):
    listening, token = cluster
    assert "OK" in {
        asked(grpc.insecure_channel(f"127.0.0.1:{address.port}"), METHODS[0], bearer(token)) for address in listening
    }
