"""A server may be anybody's: it can neither hold a client up, nor fill its memory, nor lead it away."""

import contextlib
import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from machine.foreign_texts import plain
from serverless.cluster.api import ClusterUnavailable
from serverless.functions import http_limits, over_http, transfer
from serverless.functions.http_limits import bounded_session
from serverless.functions.openwhisk.call import call
from serverless.platforms.google.client import GoogleClient
from serverless.platforms.http_api import Web
from serverless.platforms.protocol import PlatformError
from serverless.storage import MinioSettings, StoreError, open_store
from task.images.idx import DataError
from task.mnist import downloads
from tests.security.lured_clients import CLIENTS, REFUSALS, STORE_KEYS, of_kubernetes, of_mlflow, of_the_data_download
from tests.support.tiers import starts


@pytest.fixture
@starts("server")
def serve():
    """Return a way to start a server whose handler does what it is told; it knows the requests that it has seen."""
    servers = []

    def start(answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_it(self):
                server.seen.append((self.command, self.path))
                with contextlib.suppress(OSError):  # the client has gone
                    answer(self)
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_it

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.seen, server.url = [], f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def head(handler, *headers, status=200):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()


def drips_a_body(handler):
    head(handler, ("Content-Length", "1000"))
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def drips_its_headers(handler):
    for byte in b"HTTP/1.1 200 OK\r\n" + 100 * b"X-Slow: 1\r\n":
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def drips_chunk_sizes(handler):
    head(handler, ("Transfer-Encoding", "chunked"))
    for _ in range(100):
        handler.wfile.write(b"0")
        time.sleep(0.1)


def has_no_end(handler):
    head(handler, ("Connection", "close"))
    while True:
        handler.wfile.write(b" " * 65536)


def promises_more(handler):
    head(handler, ("Content-Length", "1000"))
    handler.wfile.write(b"{}")


def is_a_bomb(handler):
    data = gzip.compress(b"0" * 1_000_000)
    head(handler, ("Content-Encoding", "gzip"), ("Content-Length", str(len(data))))
    handler.wfile.write(data)


def chunk_of_negative_size(handler):
    head(handler, ("Transfer-Encoding", "chunked"))
    handler.wfile.write(b"-5\r\nhello\r\n")


HOSTILE = [
    drips_a_body,
    drips_its_headers,
    drips_chunk_sizes,
    has_no_end,
    promises_more,
    is_a_bomb,
    chunk_of_negative_size,
]


@pytest.mark.parametrize("answer", HOSTILE)
def test_no_answer_holds_a_platforms_client_up_or_fills_its_memory(serve, answer, monkeypatch):
    monkeypatch.setattr(http_limits, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(http_limits.ask, "__kwdefaults__", {"most_bytes": 1 << 20})
    web = Web("Toy", serve(answer).url, None, True, 0.5, "")
    started_at = time.monotonic()
    with pytest.raises(requests.RequestException):
        web.send("GET", f"{web.address}/x")
    assert time.monotonic() - started_at < 3


@pytest.mark.parametrize("answer", HOSTILE)
def test_nor_a_functions_transfer(serve, answer, monkeypatch, deployed_for):
    monkeypatch.setattr(over_http, "WITHIN_S", 0.5)
    monkeypatch.setattr(transfer, "PATIENCE_S", 0)
    server = serve(answer)
    deployed_for(server.url)
    started_at = time.monotonic()
    with pytest.raises(transfer.TransferError):
        transfer.fetch(f"{server.url}/x?signature=1", 1 << 20)
    with contextlib.suppress(transfer.TransferError):  # a body that comes late, or is too long, changes no status
        transfer.deliver(f"{server.url}/x?signature=1", b"update")
    assert time.monotonic() - started_at < 3


@pytest.mark.parametrize("answer", HOSTILE)
def test_nor_an_invokers_call(serve, answer, monkeypatch):
    monkeypatch.setattr(http_limits.ask, "__kwdefaults__", {"most_bytes": 1 << 20})
    started_at = time.monotonic()
    deadline = str(int((time.time() + 2.7) * 1000))
    key = {"__OW_API_HOST": serve(answer).url, "__OW_API_KEY": "user:password", "__OW_DEADLINE": deadline}
    called = call(key, "client", {})
    assert called.record is None
    assert called.error_kind == "no answer"
    assert time.monotonic() - started_at < 3


@pytest.mark.parametrize("answer", [drips_a_body, drips_its_headers, drips_chunk_sizes])
def test_nor_a_look_at_a_cluster(serve, answer):
    with contextlib.suppress(ClusterUnavailable):
        of_kubernetes("http://127.0.0.1:9")  # the import takes seconds
    started_at = time.monotonic()
    with pytest.raises(ClusterUnavailable, match=r"no answer|cannot be read"):
        of_kubernetes(serve(answer).url)
    assert time.monotonic() - started_at < 5


@pytest.mark.parametrize("answer", [drips_a_body, drips_its_headers, drips_chunk_sizes, has_no_end, is_a_bomb])
def test_nor_the_download_of_the_data(serve, answer, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(downloads, "DOWNLOAD_WITHIN_S", 0.5)
    monkeypatch.setattr(downloads, "_MOST_BYTES", 1 << 20)
    started_at = time.monotonic()
    with pytest.raises(DataError):
        of_the_data_download(serve(answer).url)
    assert time.monotonic() - started_at < 3


def test_a_server_that_does_not_read_holds_no_sender_up(serve, monkeypatch, deployed_for):
    def reads_slowly(handler):
        for _ in range(100):
            handler.rfile.read1(1)
            time.sleep(0.1)

    monkeypatch.setattr(over_http, "WITHIN_S", 0.5)
    monkeypatch.setattr(transfer, "PATIENCE_S", 0)
    server = serve(reads_slowly)
    deployed_for(server.url)
    started_at = time.monotonic()
    with pytest.raises(transfer.TransferError, match="no answer"):
        transfer.deliver(f"{server.url}/x?signature=1", b"0" * (32 << 20))
    assert time.monotonic() - started_at < 3


def test_an_honest_answer_keeps_its_connection(serve):
    def answer(handler):
        head(handler, ("Content-Length", "2"))
        handler.wfile.write(b"{}")

    web = Web("Toy", serve(answer).url, None, True, 5, "")
    for _ in range(3):
        assert web.read(f"{web.address}/x") == {}


def test_a_drip_does_not_hold_the_store_up(serve):
    settings = MinioSettings(
        endpoint=serve(drips_a_body).url.removeprefix("http://"), bucket="fl-test", retries=0, timeout_s=1
    )
    started_at = time.monotonic()
    with pytest.raises(StoreError):
        open_store(settings, "run", STORE_KEYS).get("x")
    assert time.monotonic() - started_at < 15


@pytest.mark.parametrize("client", [*CLIENTS, pytest.param(of_mlflow, marks=pytest.mark.slow)])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_client_follows_a_redirect_to_another_host(serve, client, status, deployed_for):
    def welcome(handler):
        head(handler, ("Content-Length", "0"))

    other = serve(welcome)
    lure = serve(lambda it: head(it, ("Location", f"{other.url}{it.path}"), ("Content-Length", "0"), status=status))
    deployed_for(lure.url)
    with contextlib.suppress(*REFUSALS):
        client(lure.url)
    assert lure.seen
    assert other.seen == []


def test_a_signed_upload_url_of_google_is_in_no_error(monkeypatch):
    signed = "http://127.0.0.1:9/upload?X-Goog-Signature=5ec2e7"
    client = GoogleClient.__new__(GoogleClient)
    given = {"uploadUrl": signed, "storageSource": {}}
    client._v2, client.settings = "", type("Settings", (), {"parent": "p"})()
    client._web = type("Fake", (), {"call": lambda *_, **__: None})()
    client._open = Web("Google", "x", None, True, 0.5, "")
    monkeypatch.setattr(client, "_object", lambda *_: given)
    with pytest.raises(PlatformError) as caught:
        client.upload(b"zip")
    shown = [str(caught.value), str(caught.value.__cause__)]
    assert caught.value.__suppress_context__
    assert not [text for text in shown if "5ec2e7" in text]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (
            "HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: /o?X-Goog-Signature=5ec2e7 (x)",
            "5ec2e7",
        ),
        ("https://user:5ec2e7@host/path", "5ec2e7"),
        ("Authorization: Bearer 5ec2e75ec2e7", "5ec2e7"),
        ("Authorization: Basic 5ec2e75ec2e7==", "5ec2e7"),
        ("a=1&X-Amz-Signature=5ec2e7&b=2", "5ec2e7"),
        (f"{'x' * 1990} https://host/?k=5ec2e7", "5ec2e7"),
    ],
)
def test_a_text_from_outside_is_shown_without_secrets(text, secret):
    assert secret not in plain(text)


@pytest.mark.parametrize("text", ["\ud800", "\x1b[2J", "x" * 100_000, "tab\tline\n", "\x9b", "\u202e", "é"])
def test_and_so_that_every_file_and_terminal_takes_it(text):
    shown = plain(text)
    assert len(shown) <= 2000
    shown.encode()
    json.loads(json.dumps(shown))
    assert not any(character in shown for character in "\x1b\x9b\u202e")
    assert plain("é tab\tline\n") == "é tab\tline\n"


def test_sessions_ask_for_nothing_compressed():
    assert bounded_session().headers["Accept-Encoding"] == "identity"
