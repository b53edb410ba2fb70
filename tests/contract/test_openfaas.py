"""The gateway's API as OpenFaaS documents it, spoken without our client."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from serverless.platforms.openfaas import image
from serverless.platforms.openfaas.callbacks import receive
from serverless.platforms.openfaas.deploy import OpenFaas
from serverless.platforms.protocol import FunctionSpec

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def gateway(start):
    tools = start("openfaas")
    tools.deploy()
    tools.session = requests.Session()
    tools.session.auth = tuple(tools.handle.auth.split(":", 1))
    tools.url = tools.handle.api_host
    return tools


def deployment(gateway, **changes):
    status = gateway.session.get(f"{gateway.url}/system/function/client").json()
    kept = ("image", "envVars", "labels", "limits")
    return {"service": "other", **{key: status[key] for key in kept}, **changes}


def test_every_route_but_health_needs_the_key(gateway):
    for verb, path in (
        ("GET", "system/functions"),
        ("GET", "system/function/client"),
        ("POST", "system/functions"),
        ("DELETE", "system/functions"),
        ("GET", "system/info"),
        ("POST", "function/client"),
        ("GET", "function/client/ready"),
        ("POST", "async-function/client"),
    ):
        refused = requests.request(verb, f"{gateway.url}/{path}", json={})
        assert (refused.status_code, refused.text) == (401, "invalid credentials")
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="Restricted"'
    assert gateway.session.post(f"{gateway.url}/function/client", json={}).status_code == 200
    assert requests.get(f"{gateway.url}/healthz").status_code == 200


def test_the_codes_of_creating_updating_and_deleting(gateway):
    def send(verb, **body):
        return gateway.session.request(verb, f"{gateway.url}/system/functions", json=body)

    good = deployment(gateway)
    assert send("PUT", **good).status_code == 404
    assert send("POST", **good).status_code == 202
    again = send("POST", **good)
    assert (again.status_code, "already exists" in again.text) == (500, True)
    assert send("PUT", **good).status_code == 202
    assert {function["name"] for function in gateway.session.get(f"{gateway.url}/system/functions").json()} == {
        "client",
        "other",
    }
    assert send("POST", **good | {"service": "Not_DNS"}).status_code == 400
    assert send("POST", **good | {"service": "x", "image": "docker.io/somebody/else:1"}).status_code == 400
    assert send("POST", **good | {"service": "x", "limits": {"memory": "much"}}).status_code == 400
    assert send("POST", **good | {"service": "x", "limits": {"memory": "1000Gi"}}).status_code == 400
    assert send("POST", **good | {"service": "x", "envVars": {"a": 1}}).status_code == 400
    assert send("DELETE", functionName="other").status_code == 202
    assert send("DELETE", functionName="other").status_code == 404
    assert send("DELETE").status_code == 400
    assert gateway.session.get(f"{gateway.url}/system/function/other").status_code == 404
    assert gateway.session.post(f"{gateway.url}/system/functions", data=b"{", headers=JSON).status_code == 400


def test_a_call_has_an_id_a_start_and_the_watchdogs_duration(gateway):
    url = f"{gateway.url}/function/client"
    answer = gateway.session.post(url, json={"sleep_s": 0.3})
    assert len(answer.headers["X-Call-Id"]) == 36
    assert int(answer.headers["X-Start-Time"]) > 1e18  # nanoseconds
    assert float(answer.headers["X-Duration-Seconds"]) >= 0.3
    mine = gateway.session.post(url, json={}, headers={"X-Call-Id": "mine"})
    assert "X-Call-Id" not in mine.headers  # the gateway tells only those that it made
    told = gateway.invoke(sleep_s=0.3)
    assert told.provider_s >= 0.3
    assert (told.wait_s, told.init_s) == (None, None)  # OpenFaaS says nothing of them


def test_bodies_may_come_in_chunks(gateway):
    text = json.dumps({"long": "x" * 300_000}).encode()
    pieces = (text[start : start + 70_001] for start in range(0, len(text), 70_001))
    answer = gateway.session.post(f"{gateway.url}/function/client", data=pieces, headers=JSON)
    assert len(answer.json()["got"]["long"]) == 300_000
    broken = gateway.session.post(f"{gateway.url}/function/client", data=iter([b'{"a": ']), headers=JSON)
    assert broken.status_code == 400


def test_the_functions_own_answers_come_through(gateway):
    url = f"{gateway.url}/function/client"
    assert gateway.session.get(f"{url}/ready").json() == {"ready": True}
    assert gateway.session.get(f"{url}/elsewhere").status_code == 404
    assert gateway.session.post(f"{gateway.url}/function/nobody", json={}).status_code == 404
    assert gateway.session.post(f"{gateway.url}/function/client.openfaas-fn", json={}).status_code == 200
    assert gateway.session.post(url, json={}, headers={"X-Timeout": "100ms"}).status_code == 200
    late = gateway.session.post(url, json={"sleep_s": 1}, headers={"X-Timeout": "100ms"})
    assert (late.status_code, late.headers["X-OpenFaaS-Internal"]) == (504, "of-watchdog")


def test_a_queued_call_is_answered_to_its_callback(gateway):
    seen, done = [], threading.Event()

    class Callback(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            done.set()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Callback) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        queued = gateway.session.post(
            f"{gateway.url}/async-function/client",
            json={"a": 1},
            headers={"X-Callback-Url": f"http://127.0.0.1:{server.server_port}/"},
        )
        assert done.wait(20)
        server.shutdown()
        thread.join()
    assert queued.status_code == 202
    ((headers, body),) = seen
    assert headers["X-Call-Id"] == queued.headers["X-Call-Id"]
    assert (headers["X-Function-Status"], headers["X-Function-Name"]) == ("200", "client")
    assert float(headers["X-Duration-Seconds"]) > 0
    assert json.loads(body)["got"] == {"a": 1}
    bad = gateway.session.post(f"{gateway.url}/async-function/client", json={}, headers={"X-Callback-Url": "nowhere"})
    assert bad.status_code == 400


def test_asynchronous_invocations_tell_the_same_as_synchronous_ones(gateway):
    with receive("127.0.0.1") as callbacks:
        platform = OpenFaas(gateway.platform.client, is_embedded=True, callbacks=callbacks)
        spec = gateway.SPEC
        platform.deploy(spec)
        good = platform.invoke(spec, {"x": 1})
        assert (good.error_kind, good.result["got"], good.provider_s is not None) == (None, {"x": 1}, True)
        failed = platform.invoke(spec, {"fail": "words"})
        assert (failed.error_kind, failed.error) == ("application error", "ValueError: words")
        nobody = platform.invoke(FunctionSpec("nobody", 128, 5), {})
        assert (nobody.error_kind, nobody.may_have_run) == ("no such function", False)
        with callbacks.expect() as (url, _):
            pass
        assert requests.post(url, json={}).status_code == 404  # nobody waits there any more
        assert requests.post(f"{url}x", json={}).status_code == 404


def test_an_answer_of_another_deployment_is_no_success(gateway):
    old = gateway.platform.invoke(gateway.SPEC, {})
    gateway.platform._deployments["client"] = "another"
    stale = gateway.platform.invoke(gateway.SPEC, {})
    assert (old.error_kind, stale.error_kind, stale.result) == (None, "other deployment", None)


def test_only_code_with_its_own_hash_and_a_program_becomes_an_image(gateway):
    code = gateway.code("openfaas/client")
    images = f"{gateway.url}/embedded/images"
    assert gateway.session.put(f"{images}/{hashlib.sha256(code).hexdigest()}", data=code).status_code == 201
    assert gateway.session.put(f"{images}/{'0' * 64}", data=code).status_code == 400
    for bad in (b"no zip", gateway.code("openfaas/client", entry="other.py")):
        refused = gateway.session.put(f"{images}/{hashlib.sha256(bad).hexdigest()}", data=bad)
        assert refused.status_code == 400
    assert requests.put(f"{images}/{hashlib.sha256(code).hexdigest()}", data=code).status_code == 401


def test_an_images_context_has_the_code_a_dockerfile_and_the_versions_of_here(tmp_path):
    image.main(["client", str(tmp_path / "client"), "--engine", "numpy", "--store", "http://store:9000"])
    written = {path.relative_to(tmp_path / "client").as_posix() for path in (tmp_path / "client").rglob("*")}
    assert {"Dockerfile", "__main__.py", "requirements.txt", "serverless/functions/openfaas/server.py"} <= written
    assert (tmp_path / "client" / "engine.txt").read_text() == "numpy\n"
    assert (tmp_path / "client" / "store.txt").read_text() == "http://store:9000\n"
    assert "numpy==" in (tmp_path / "client" / "requirements.txt").read_text()
    with pytest.raises(SystemExit, match="2"):
        image.main(["client", str(tmp_path / "client"), "--store", "http://store:9000"])
    with pytest.raises(SystemExit, match="2"):
        image.main(["client", str(tmp_path / "other")])  # for no store: its functions could reach none
