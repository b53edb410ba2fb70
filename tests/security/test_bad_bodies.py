"""Bodies of requests that are none, too large or too slow end in a status and words, on every port that we serve."""

import asyncio
import socket
import threading
import time
from functools import partial
from http.server import ThreadingHTTPServer
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from machine.handover import TOKEN_HEADER
from machine.http_chunks import read_body
from serverless.emulator import rest
from serverless.emulator.containers import action_proxy
from serverless.emulator.openfaas import watchdog
from serverless.emulator.openfaas.watchdog_config import Config
from serverless.functions.openfaas import server as function_server
from tests.fuzz.bodies import RIGHT, answer
from tests.support.tiers import starts

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BAD = {
    "negative size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "no size": CHUNKED + b"many\r\nhello\r\n0\r\n\r\n",
    "endless size": CHUNKED + b"f" * 5000,
    "negative length": b"Content-Length: -1\r\n\r\n",
    "no length": b"Content-Length: many\r\n\r\n",
}
NO_OBJECT = {
    "not JSON": b"Content-Length: 2\r\n\r\n{]",
    "nested": b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000,
    "no object": b"Content-Length: 2\r\n\r\n[]",
}
LARGE = {
    "large length": b"Content-Length: 999999999999\r\n\r\n",
    "longer length": b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "large chunk": CHUNKED + b"ffffffff\r\n",
}
HANDLERS = {}
SILENT = []


def handler(name):
    def known(make):
        HANDLERS[name] = make
        return make

    return known


@handler("action proxy")
def of_openwhisk():
    return type("Proxy", (action_proxy.Handler,), {"proxy": action_proxy.ActionProxy()})


@handler("watchdog")
def of_openfaas():
    """Its function takes connections, and never says anything."""
    silent = socket.create_server(("127.0.0.1", 0))
    config = Config(fprocess="x", upstream=f"http://127.0.0.1:{silent.getsockname()[1]}")
    SILENT.append(silent)
    return type("Dog", (watchdog._Handler,), {"watchdog": watchdog.Watchdog(config)})


@handler("function server")
def of_a_function():
    return type("Function", (function_server._Handler,), {"function": staticmethod(lambda params: {})})


@pytest.fixture(params=HANDLERS)
@starts("server")
def ask(request, monkeypatch):
    """Send bytes to a port, with the token, and return the answer as it comes; no time is given to slow ones."""
    monkeypatch.setattr(action_proxy, "_BODY_WITHIN_S", 0.3)
    for module in (watchdog, function_server):
        monkeypatch.setattr(module, "read_body", partial(read_body, within_s=0.3))
        monkeypatch.setattr(module, "WITHIN_S", 0.3)
    kind = HANDLERS[request.param]()
    kind.token = "the token"
    if request.param == "function server":
        kind.timeout = 0.3
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.failures = []
    server.handle_error = lambda *_: server.failures.append("a traceback")
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def send(rest, token=b"the token", drip=b""):
        with socket.create_connection(server.server_address, timeout=10) as connection:
            head = b"POST /init HTTP/1.1\r\nHost: h\r\n" + TOKEN_HEADER.encode() + b": " + token + b"\r\n"
            connection.sendall(head + rest)
            for byte in drip:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
            return connection.recv(1 << 16).decode()

    yield send
    server.shutdown()
    server.server_close()
    while SILENT:
        SILENT.pop().close()
    assert server.failures == []


def check(said, *statuses):
    head, _, body = said.partition("\r\n\r\n")
    assert int(head.split()[1]) in statuses, said
    assert body.strip(), said
    assert "Traceback" not in said


@pytest.mark.parametrize("body", BAD)
def test_a_body_that_is_none_is_refused_in_words(ask, body):
    check(ask(BAD[body]), 400)


@pytest.mark.parametrize("ask", ["action proxy", "function server"], indirect=True)  # a watchdog passes all on
@pytest.mark.parametrize("body", NO_OBJECT)
def test_so_is_one_that_is_no_object(ask, body):
    check(ask(NO_OBJECT[body]), 400)


@pytest.mark.parametrize("body", LARGE)
def test_one_that_is_too_large_is_refused_before_it_is_read(ask, body):
    check(ask(LARGE[body]), 400, 413)


@pytest.mark.parametrize("silent", [True, False])
def test_one_that_is_too_slow_is_given_up(ask, silent):
    started_at = time.monotonic()
    check(ask(b"Content-Length: 1000\r\n\r\n", drip=b"{" if silent else b"{" * 8), 408)
    assert time.monotonic() - started_at < 5


@pytest.mark.parametrize(
    "body", [b"Content-Length: 1000\r\n\r\n{", *BAD.values(), *NO_OBJECT.values(), *LARGE.values()]
)
def test_without_the_token_no_body_is_read(ask, body):
    started_at = time.monotonic()
    assert " 403 " in ask(body, token=b"guess").partition("\r\n")[0]
    assert time.monotonic() - started_at < 5


@pytest.mark.parametrize(
    ("platform", "line"),
    [
        ("google", "POST /v2/projects/p/locations/l/functions?functionId=name"),
        ("google", "POST /run/projects/p/locations/l/functions/f"),
        ("openfaas", "POST /system/functions"),
        ("openfaas", "POST /function/f"),
        ("openwhisk", "PUT /api/v1/namespaces/_/actions/a"),
    ],
)
@pytest.mark.parametrize("body", [*BAD, "large length", "longer length"])
def test_so_do_the_apis(platform, line, body):
    head = f"{line} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nAuthorization: {RIGHT[platform]}\r\n"
    said = answer(platform, head.encode() + (BAD | LARGE)[body]).decode()
    assert int(said.split()[1]) in (400, 413), said
    assert "Traceback" not in said


def test_the_apis_wait_for_a_body_as_long_as_they_say():
    """A request whose body does not come, in the memory of this process."""

    async def ask():
        request = make_mocked_request("POST", "/", payload=StreamReader(Mock(), 2**16))
        await rest.received(request, within_s=0.05)

    with pytest.raises(web.HTTPRequestTimeout):
        asyncio.run(ask())
