"""OpenWhisk's client against a real HTTP server that answers, or fails to, as it is told."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serverless.platforms import http_api
from serverless.platforms.openwhisk import client as client_module
from serverless.platforms.openwhisk.activation_records import read_record
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.platforms.openwhisk.deploy import open_platform
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, PlatformError
from tests.support.tiers import starts

ACTION = FunctionSpec("client", memory_mb=512, timeout_s=2)
DROP = (None, None)


@pytest.fixture
@starts("server")
def server():
    """Serves ``server.answers`` in turn (status, JSON or text); DROP closes the connection without an answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            http.seen.append((self.command, self.path, self.headers.get("authorization"), body))
            status, content = http.answers.pop(0) if len(http.answers) > 1 or not http.last else http.answers[0]
            if callable(content):
                content = content(json.loads(next(sent for _, _, _, sent in http.seen if sent))["invocation"])
            if status is None:
                self.close_connection = True
                self.connection.close()
                return
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.send_header("x-openwhisk-activation-id", "from-header")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.answers, http.seen, http.last = [], [], False
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setattr(client_module, "POLL_S", 0.01)
    monkeypatch.setattr(client_module, "LOOK_FOR_S", 0.05)  # where nothing can be found
    monkeypatch.setattr(http_api, "BACKOFF_S", 0.01)
    return OpenWhiskClient(
        f"http://127.0.0.1:{server.server_port}", "some-uuid:some-key", OpenWhiskSettings(request_timeout_s=0.5)
    )


def record(status="success", result=None, **changes):
    return {
        "activationId": "abc",
        "duration": 1500,
        "response": {"status": status, "success": status == "success", "result": result},
        "annotations": [{"key": "waitTime", "value": 40}, {"key": "limits", "value": {}}],
    } | changes


def test_a_blocking_call_returns_the_record_with_times_in_seconds(server, client):
    cold = [{"key": "waitTime", "value": 40}, {"key": "initTime", "value": 900}]
    server.answers = [(200, record(result={"x": 1}, annotations=cold))]
    invocation = client.invoke(ACTION, {"n": 5})
    assert invocation.result == {"x": 1}
    assert invocation.error_kind is None
    assert (invocation.activation_id, invocation.provider_s) == ("abc", 1.5)
    assert (invocation.wait_s, invocation.init_s) == (0.04, 0.9)
    ((verb, path, authorization, body),) = server.seen
    assert (verb, path) == ("POST", "/api/v1/namespaces/_/actions/client?blocking=true&timeout=60000")
    assert authorization.startswith("Basic ")
    sent = json.loads(body)
    assert len(sent.pop("invocation")) == 32
    assert sent == {"n": 5}
    assert invocation.got_over is None


def test_a_call_that_becomes_202_is_followed_until_its_record_is_there(server, client):
    server.answers = [(202, {"activationId": "abc"}), (404, {"error": "x"}), DROP, (200, record(result={"y": 2}))]
    invocation = client.invoke(ACTION, {})
    assert invocation.result == {"y": 2}
    assert invocation.init_s is None
    assert invocation.got_over == "answered later"
    assert [path for _, path, _, _ in server.seen[1:]] == ["/api/v1/namespaces/_/activations/abc"] * 3


@pytest.mark.parametrize("status", ["application error", "action developer error", "whisk internal error"])
def test_a_failed_activation_says_how_it_failed_and_what_it_took(server, client, status):
    server.answers = [(502, record(status, {"error": "no memory"}))]
    invocation = client.invoke(ACTION, {})
    assert (invocation.error_kind, invocation.error, invocation.result) == (status, "no memory", None)
    assert invocation.provider_s == 1.5
    assert invocation.may_have_run


@pytest.mark.parametrize(
    ("status", "kind", "may_have_run"),
    [
        (429, "throttled", False),
        (413, "payload too large", False),
        (401, "unauthorized", False),
        (503, "HTTP 503", True),
        (404, "HTTP 404", False),
    ],
)
def test_a_refusal_is_named_and_may_or_may_not_have_run(server, client, status, kind, may_have_run):
    server.answers, server.last = [(status, {"error": "the platform's words", "code": "x"})], True
    invocation = client.invoke(ACTION, {})
    assert (invocation.error_kind, invocation.error) == (kind, "the platform's words")
    assert invocation.may_have_run is may_have_run


def test_an_answer_that_is_no_json_is_no_crash(server, client):
    server.answers, server.last = [(502, "<html>bad gateway</html>")], True
    invocation = client.invoke(ACTION, {})
    assert invocation.error_kind == "HTTP 502"
    assert "bad gateway" in invocation.error


def test_a_dropped_connection_may_have_run_and_a_refused_one_cannot(server, client):
    server.answers, server.last = [DROP], True
    dropped = client.invoke(ACTION, {})
    assert (dropped.error_kind, dropped.may_have_run) == ("no answer", True)
    nobody = OpenWhiskClient("http://127.0.0.1:9", "u:k", client.settings).invoke(ACTION, {})
    assert (nobody.error_kind, nobody.may_have_run) == ("unreachable", False)


def test_deploying_sends_code_and_limits(server, client):
    server.answers = [(200, {})]
    client.put_action(ACTION, "UEsDBA==", kind="python:3", binary=True)
    ((verb, path, _, body),) = server.seen
    assert (verb, path) == ("PUT", "/api/v1/namespaces/_/actions/client?overwrite=true")
    sent = json.loads(body)
    assert sent["exec"] == {"kind": "python:3", "code": "UEsDBA==", "binary": True, "main": "main"}
    assert (sent["limits"]["memory"], sent["limits"]["timeout"]) == (512, 2000)


@pytest.mark.parametrize("may_invoke", [False, True])
def test_only_a_function_that_invokes_others_is_given_the_key(server, client, may_invoke):
    server.answers = [(200, {})]
    client.put_action(replace(ACTION, may_invoke=may_invoke), "UEsDBA==", kind="python:3", binary=True)
    assert json.loads(server.seen[0][3])["annotations"] == [{"key": "provide-api-key", "value": may_invoke}]


def test_lists_of_any_length_are_read_to_their_end(server, client):
    server.answers = [(200, [{"name": f"a{i}"} for i in range(200)]), (200, [{"name": "last"}])]
    assert len(client.actions()) == 201
    assert "skip=200" in server.seen[1][1]


def test_deleting_what_is_not_there_is_done_and_other_refusals_are_told(server, client):
    server.answers = [(404, {"error": "gone"}), (401, {"error": "The supplied authentication is invalid"})]
    client.delete_action("client")
    with pytest.raises(PlatformError, match=r"401 The supplied authentication is invalid.*\$OPENWHISK_AUTH"):
        client.delete_action("client")


def test_the_key_is_never_shown(client, tmp_path, monkeypatch):
    assert "some-key" not in repr(client)
    nobody = OpenWhiskClient("http://127.0.0.1:9", "some-uuid:some-key", client.settings)
    with pytest.raises(PlatformError) as error:
        nobody.actions()
    assert "some-key" not in str(error.value)
    assert "127.0.0.1:9" in str(error.value)
    monkeypatch.delenv("OPENWHISK_AUTH", raising=False)
    far = OpenWhiskSettings(api_host="https://openwhisk.invalid")
    with pytest.raises(PlatformError, match="OPENWHISK_AUTH"), open_platform(far, tmp_path / "log"):
        pass


def of_the_call(*others):
    """A page of records, one of which is the call's own."""

    def page(name):
        return [*others, record(result={"invocation": "another"}), record(result={"z": 3, "invocation": name})]

    return 200, page


@pytest.mark.parametrize(
    ("lost", "got_over"),
    [(DROP, "no answer"), ((503, "<html>"), "HTTP 503"), ((504, ""), "HTTP 504"), ((200, '{"activa'), "HTTP 200")],
)
def test_an_answer_that_was_lost_is_found_among_the_records_and_the_function_not_invoked_again(
    server, client, monkeypatch, lost, got_over
):
    monkeypatch.setattr(client_module, "LOOK_FOR_S", 20)
    server.answers = [lost, (200, []), DROP, (503, "busy"), of_the_call({"no": "record"}, None, 5)]
    invocation = client.invoke(ACTION, {})
    assert (invocation.result["z"], invocation.got_over, invocation.error_kind) == (3, got_over, None)
    assert [verb for verb, *_ in server.seen] == ["POST", "GET", "GET", "GET", "GET"]
    assert "activations?name=client&since=" in server.seen[1][1]


def test_a_call_that_others_have_crowded_out_is_found_on_a_later_page(server, client):
    server.answers = [DROP, (200, [record(result={})] * 200), of_the_call()]
    assert client.invoke(ACTION, {}).result["z"] == 3
    assert "skip=200" in server.seen[2][1]


@pytest.mark.parametrize("status", [429, 401, 404])
def test_a_call_that_was_refused_is_not_looked_for(server, client, status):
    server.answers = [(status, {"error": "no"})]
    client.invoke(ACTION, {})
    assert len(server.seen) == 1


@pytest.mark.parametrize("rubbish", ["", "[]", '"x"', '{"response": 5}', '{"response": {}, "annotations": [1]}'])
def test_half_a_record_is_asked_for_again(server, client, rubbish):
    server.answers = [(202, {"activationId": "abc"}), (200, rubbish), (502, "<html>"), (200, record(result={"y": 2}))]
    assert client.invoke(ACTION, {}).result == {"y": 2}


@pytest.mark.parametrize("result", [None, [1], "text", 5])
def test_a_function_that_returns_no_object_has_failed(server, client, result):
    server.answers = [(200, record(result=result))]
    invocation = client.invoke(ACTION, {})
    assert (invocation.error_kind, invocation.result) == ("no object", None)


def test_a_time_out_is_told_from_other_errors(server, client):
    notes = [{"key": "timeout", "value": True}]
    server.answers = [(502, record("action developer error", {"error": "exceeded its time limits"}, annotations=notes))]
    assert client.invoke(ACTION, {}).error_kind == "timed out"


@pytest.mark.parametrize("passing", [DROP, (429, {}), (502, "<html>"), (503, "")])
def test_what_may_be_sent_twice_is_sent_again(server, client, passing):
    server.answers = [passing, passing, (200, {})]
    client.put_action(ACTION, "UEsDBA==", kind="python:3", binary=True)
    assert [verb for verb, *_ in server.seen] == ["PUT"] * 3


def test_asking_again_has_an_end(server, client):
    server.answers, server.last = [(503, {"error": "overloaded"})], True
    with pytest.raises(PlatformError, match="503 overloaded"):
        client.actions()
    assert len(server.seen) > 2


@pytest.mark.parametrize(
    ("error", "is_explained"),
    [
        ("The action did not produce a valid response and exited unexpectedly.", True),
        ("The action did not initialize and exited unexpectedly.", True),
        ("command exited", True),
        ("The action exhausted its memory and was aborted.", False),
        ("division by zero", False),
    ],
)
def test_a_container_that_ended_without_a_reason_may_have_run_out_of_memory(error, is_explained):
    response = {"success": False, "status": "action developer error", "result": {"error": error}}
    told = read_record({"activationId": "a", "response": response}).error
    assert told.startswith(error)
    assert ("memory_mb" in told) == is_explained
