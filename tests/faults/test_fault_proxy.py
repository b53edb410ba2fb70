"""The proxy that the other tests trust: what it breaks is broken, and everything else is as it was."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.faults.plan import Fault, Schedule, Step
from tests.faults.proxy import FaultProxy, faulty
from tests.support.tiers import starts


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        said = f"{self.command} {self.path} {self.headers['host']} ".encode() + body
        self.server.served.append(said)
        self.send_response(200)
        self.send_header("ETag", '"x"')
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
@starts("server")
def upstream() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    server.served = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
@starts("server")
def proxy(upstream: http.server.ThreadingHTTPServer) -> Iterator[FaultProxy]:
    with faulty(f"http://127.0.0.1:{upstream.server_port}") as running:
        yield running


def ask(proxy: FaultProxy, verb: str = "GET", path: str = "/a%2Fb?x=1%20&y=", **more: object) -> requests.Response:
    return requests.request(verb, f"http://{proxy.endpoint}{path}", timeout=5, **more)


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE"])
def test_without_a_plan_every_byte_and_the_host_go_through(proxy: FaultProxy, verb: str) -> None:
    answer = ask(proxy, verb, data=b"\x00body")
    assert answer.content == f"{verb} /a%2Fb?x=1%20&y= {proxy.endpoint} ".encode() + b"\x00body"
    assert answer.headers["ETag"] == '"x"'
    assert int(ask(proxy, "HEAD").headers["content-length"]) == len(f"HEAD /a%2Fb?x=1%20&y= {proxy.endpoint} ")


def test_only_the_requests_of_the_plan_go_wrong(proxy: FaultProxy) -> None:
    proxy.plan(Step("PUT /a", Fault("status", status=507, body="full"), first=2, count=2))
    statuses = [ask(proxy, "PUT", "/a").status_code for _ in range(4)]
    assert statuses == [200, 507, 507, 200]
    assert ask(proxy, "GET", "/a").status_code == 200
    assert [happened.label for happened in proxy.happened] == ["507", "507"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["drop", "hang", "status"])
def test_a_fault_after_the_request_lets_it_through_first(upstream, proxy: FaultProxy, kind: str, after: bool) -> None:
    proxy.plan(Step("POST", Fault(kind, after=after)))
    if kind == "status":
        assert ask(proxy, "POST").status_code == 503
    else:
        with pytest.raises((requests.ConnectionError, requests.Timeout)):
            requests.post(f"http://{proxy.endpoint}/", timeout=0.5)
    assert len(upstream.served) == after


def test_half_an_answer_breaks_off(proxy: FaultProxy) -> None:
    proxy.plan(Step("GET", Fault("truncate")))
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        ask(proxy)


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_damaged_body_has_its_length_and_another_byte(upstream, proxy: FaultProxy, side: str) -> None:
    proxy.plan(Step("PUT", Fault("corrupt", side=side)))
    said = ask(proxy, "PUT", "/", data=b"content").content
    assert len(said) == len(upstream.served[0])
    assert (said == upstream.served[0]) == (side == "request")
    assert upstream.served[0].endswith(b"content") == (side == "answer")


def test_half_a_request_reaches_the_server_as_a_whole_one(upstream, proxy: FaultProxy) -> None:
    proxy.plan(Step("PUT", Fault("truncate", side="request")))
    assert ask(proxy, "PUT", "/", data=b"12345678").ok
    assert upstream.served[0].endswith(b" 1234")


def test_a_blocking_invocation_is_made_a_non_blocking_one(upstream, proxy: FaultProxy) -> None:
    proxy.plan(Step("POST", Fault("accept")))
    ask(proxy, "POST", "/actions/a?blocking=true&timeout=5")
    assert b"/actions/a?blocking=false&timeout=5 " in upstream.served[0]


@pytest.mark.parametrize("kind", ["gone", "refuse"])
def test_connections_are_refused_for_a_while_and_then_accepted_again(proxy: FaultProxy, kind: str) -> None:
    proxy.plan(Step("GET", Fault(kind, seconds=0.5)))
    if kind == "gone":
        with pytest.raises(requests.ConnectionError):
            ask(proxy)
    else:
        assert ask(proxy).ok
    with pytest.raises(requests.ConnectionError, match="refused"):
        ask(proxy)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            assert ask(proxy).ok
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail("it did not come back")


def test_the_partner_is_gone_before_the_request_is_answered(proxy: FaultProxy) -> None:
    with faulty(proxy.upstream) as partner:
        proxy.partner = partner
        proxy.plan(Step("PUT", Fault("partner", seconds=30)))
        assert ask(proxy, "PUT").ok
        with pytest.raises(requests.ConnectionError, match="refused"):
            ask(partner)


def test_a_seed_decides_which_requests_go_wrong() -> None:
    def hits(seed: int) -> list[bool]:
        schedule = Schedule((Step("GET", Fault("drop"), rate=0.3, seed=seed),))
        return [schedule.next("GET", "/") is not None for _ in range(1000)]

    assert hits(1) == hits(1) != hits(2)
    assert 230 < sum(hits(1)) < 370
