"""Every status code of OpenWhisk's API that a client may meet, each provoked by one request, with its words."""

import socket
from base64 import b64encode

import pytest
import requests

ECHO = "def main(args):\n    return args\n"
SLOW = "import time\ndef main(args):\n    time.sleep(args['s'])\n    return {}\n"


@pytest.fixture(scope="module")
def furnished(whisk):
    """One server with actions that work, fail and take their time."""
    for name, code in (("echo", ECHO), ("slow", SLOW), ("raises", "def main(args):\n    raise ValueError('no')\n")):
        whisk.put(name, code)
    return whisk


def unfinished(whisk):
    """Send a request whose body never comes, and return the head of the answer."""
    host, port = whisk.handle.api_host.removeprefix("http://").split(":")
    key = b64encode(whisk.handle.auth.encode()).decode()
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            f"POST /api/v1/namespaces/_/actions/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{".encode()
        )
        return connection.recv(65536).decode()


def test_200_a_blocking_call_that_ends_in_time(furnished):
    assert furnished.call("echo", {"a": 1}, result="true").json() == {"a": 1}


def test_202_a_call_that_nobody_waits_for_and_one_that_takes_longer(furnished):
    for answer in (furnished.invoke("echo"), furnished.call("slow", {"s": 0.5}, timeout="50")):
        assert answer.status_code == 202
        assert list(answer.json()) == ["activationId"]
        assert furnished.record(answer.json()["activationId"])["response"]["success"]


@pytest.mark.parametrize(
    ("status", "method", "path", "options", "says"),
    [
        (400, "POST", "_/actions/echo", {"data": b"["}, "The request content was malformed"),
        (400, "GET", "_/actions", {"params": {"limit": "x"}}, "The query parameter 'limit' was malformed"),
        (401, "GET", "_/actions", {"auth": ("some", "body")}, "The supplied authentication is invalid"),
        (403, "GET", "other/actions", {}, "not authorized to access 'other'"),
        (404, "POST", "_/actions/absent", {}, "The requested resource does not exist."),
        (404, "GET", "_/nothing", {}, "The requested resource could not be found."),
        (405, "PATCH", "_/actions/echo", {}, "HTTP method not allowed"),
        (409, "PUT", "_/packages/echo", {"json": {}}, "Resource by this name exists but is not in this collection."),
        (413, "POST", "_/actions/echo", {"json": {"a": "x" * (1 << 20)}}, "Request larger than allowed: 10485"),
        (415, "POST", "_/actions/echo", {"data": b"{}"}, "The request's Content-Type is not supported."),
    ],
)
def test_refusals(furnished, status, method, path, options, says):
    headers = {"Content-Type": "application/json"} if status == 400 else {}
    given = {"auth": furnished.session.auth, "headers": headers, "timeout": 30} | options
    answer = requests.request(method, f"{furnished.api}/namespaces/{path}", **given)
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert answer.json()["code"] == answer.headers["X-Request-ID"]


def test_408_a_body_that_does_not_come(start):
    assert unfinished(start(request_timeout_s=0.2)).startswith("HTTP/1.1 408 ")


def test_429_one_a_minute_and_one_at_once(start):
    # The minute of the clock may turn between two calls, but not between each pair of them.
    whisk = start(invocations_per_minute=1)
    whisk.put("echo", ECHO)
    refused = next(answer for answer in (whisk.call("echo") for _ in range(3)) if answer.status_code != 200)
    assert (refused.status_code, refused.json()["error"][:44]) == (429, "Too many requests in the last minute (count:")
    whisk = start(concurrent_invocations=1)
    whisk.put("slow", SLOW)
    first = whisk.invoke("slow", {"s": 0.5}).json()["activationId"]
    refused = whisk.invoke("slow", {"s": 0})
    assert refused.status_code == 429
    assert refused.json()["error"] == "Too many concurrent requests in flight (count: 1, allowed: 1)."
    whisk.record(first)
    assert whisk.invoke("slow", {"s": 0}).status_code == 202


def test_500_a_platform_that_cannot_run_it(start):
    whisk = start(python="/nowhere/python")
    whisk.put("echo", ECHO)
    answer = whisk.call("echo")
    assert answer.status_code == 500
    assert answer.json()["response"]["status"] == "whisk internal error"
    listed = whisk.request("GET", "activations").json()
    assert [record["statusCode"] for record in listed] == [3], "the code that OpenWhisk's description leaves out"


def test_502_a_function_that_fails(furnished):
    answer = furnished.call("raises")
    assert (answer.status_code, answer.json()["response"]["status"]) == (502, "application error")
