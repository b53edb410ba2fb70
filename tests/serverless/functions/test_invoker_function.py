"""The invoker function: what it hands on, and how it invokes another action over real HTTP."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from metrics.collect.probe import WorkerProcess
from serverless.functions import invoker
from serverless.functions.messages import ClientCall
from serverless.functions.openwhisk import call as openwhisk_call
from serverless.functions.transfer import TransferError
from tests.support.tiers import starts

KEY = "uuid:a-secret-key"
RECORD = {"activationId": "a1", "response": {"success": True, "result": {"answer": 42}}}


@pytest.fixture(autouse=True)
def store(tmp_path, deployed_for):
    """The folder of a test is its store."""
    deployed_for(tmp_path.as_uri())


class Api(ThreadingHTTPServer):
    """Answers with what is in ``script``, one entry a request, and keeps the requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = [], []

    def environ(self, left_s=30.0):
        host = f"http://127.0.0.1:{self.server_port}"
        return {"__OW_API_HOST": host, "__OW_API_KEY": KEY, "__OW_DEADLINE": str(int(1000 * (time.time() + left_s)))}


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, self.headers["Authorization"], body))
        status, value = self.server.script.pop(0)
        if status is None:
            return  # the connection breaks
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Location", "/elsewhere")  # heeded with a status that says so
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def log_message(self, *words):
        pass


@pytest.fixture
@starts("server")
def api():
    with Api() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def call(api, *script, **options):
    api.script = list(script)
    return openwhisk_call.call(api.environ(**options), "client", {"x": 1})


def test_the_weights_are_handed_on_and_the_client_is_called_with_the_copy(tmp_path):
    source, copy = tmp_path / "weights", tmp_path / "copy"
    source.write_bytes(b"w" * 1000)
    called = []

    def call_client(function, params):
        called.append((function, params, copy.read_bytes()))  # it is there before the client is asked
        return ClientCall(record=RECORD)

    params = {"function": "client", "params": {"client_id": 3}, "weights_url": source.as_uri()}
    told = invoker.handle({**params, "copy_url": copy.as_uri()}, WorkerProcess(time.time()), call_client)
    assert called == [("client", {"client_id": 3}, b"w" * 1000)]
    assert (told["record"], told["bytes_in"], told["bytes_out"]) == (RECORD, 1000, 1000)
    assert {span["phase"] for span in told["work"]["spans"]} >= {"fetch", "store"}


def test_without_the_weights_no_client_is_called(tmp_path):
    params = {"function": "client", "params": {}, "weights_url": (tmp_path / "none").as_uri()}
    with pytest.raises(TransferError, match="No such file"):
        invoker.handle({**params, "copy_url": (tmp_path / "copy").as_uri()}, WorkerProcess(), pytest.fail)


def test_an_action_is_invoked_with_the_platforms_key_and_its_record_comes_back(api):
    assert call(api, (200, RECORD)) == ClientCall(record=RECORD)
    ((verb, path, authorization, body),) = api.requests
    assert (verb, path) == ("POST", "/api/v1/namespaces/_/actions/client?blocking=true&timeout=60000")
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == KEY
    assert json.loads(body) == {"x": 1}


def test_a_long_activation_is_asked_for_until_it_has_ended(api):
    missing = (404, {"error": "The requested resource does not exist."})
    assert call(api, (202, {"activationId": "a1"}), missing, (None, b""), (200, RECORD)) == ClientCall(record=RECORD)
    assert [path for _, path, _, _ in api.requests][1:] == 3 * ["/api/v1/namespaces/_/activations/a1"]


def test_it_gives_up_in_time_to_say_so(api):
    missing = (404, {"error": "not yet"})
    told = call(api, (202, {"activationId": "a1"}), *(50 * [missing]), left_s=openwhisk_call.TO_ANSWER_S + 0.3)
    assert (told.error_kind, told.activation_id, told.may_have_run) == ("no record", "a1", True)


@pytest.mark.parametrize(
    ("status", "body", "kind", "may_have_run"),
    [
        (429, {"error": "Too many requests"}, "throttled", False),
        (413, {"error": "too big"}, "payload too large", False),
        (401, {"error": "no"}, "unauthorized", False),
        (404, {"error": "no such action"}, "HTTP 404", False),
        (302, {"error": "over there"}, "HTTP 302", True),
        (500, {"error": "oops"}, "HTTP 500", True),
        (502, b"<html>a gateway's page</html>", "HTTP 502", True),
        (200, [1, 2], "HTTP 200", True),
        (None, b"", "no answer", True),
    ],
)
def test_what_goes_wrong_has_a_name_and_never_the_key(api, status, body, kind, may_have_run):
    told = call(api, (status, body))
    assert (told.error_kind, told.may_have_run) == (kind, may_have_run)
    assert "secret" not in repr(told)
    assert len(api.requests) == 1


def test_an_activation_that_failed_is_a_record_like_any_other(api):
    failed = {"activationId": "a2", "response": {"success": False, "status": "application error", "result": {}}}
    assert call(api, (502, failed)) == ClientCall(record=failed)


def test_a_platform_that_is_not_there_was_not_sent_anything(api):
    environ = api.environ()
    environ["__OW_API_HOST"] = "http://127.0.0.1:9"  # nothing listens on the discard port
    told = openwhisk_call.call(environ, "client", {})
    assert (told.error_kind, told.may_have_run) == ("unreachable", False)


def test_a_bare_host_is_asked_by_https_only(api, monkeypatch):
    environ = {**api.environ(), "__OW_API_HOST": f"127.0.0.1:{api.server_port}"}
    told = openwhisk_call.call(environ, "client", {})
    assert told.error_kind == "no answer"  # there is no TLS: the key was not sent
    assert api.requests == []
