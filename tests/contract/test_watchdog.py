"""The watchdog by itself: of-watchdog's contract in its mode ``http``."""

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email.message import Message
from unittest.mock import Mock

import pytest

from machine.handover import TOKEN_HEADER, piped
from machine.loopback import reserved_port
from serverless.emulator.openfaas.watchdog import Watchdog, _Handler
from serverless.emulator.openfaas.watchdog_config import Config, duration_s

FUNCTION = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        body = b""
        while chunked and (size := int(self.rfile.readline(), 16)):
            body += self.rfile.read(size); self.rfile.readline()
        if not chunked:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = body.decode()
        time.sleep(float(text) if text.replace(".", "").isdecimal() else 0)
        while text.startswith("/") and not os.path.exists(text): time.sleep(0.01)
        if text == "exit": os._exit(4)
        self.answer({"body": text, "chunked": chunked, "call": self.headers.get("X-Call-Id"), "path": self.path})
    def do_GET(self):
        self.answer({"path": self.path})
    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(203); self.send_header("X-Mine", "yes"); self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close"); self.end_headers(); self.wfile.write(data)
ThreadingHTTPServer(("127.0.0.1", urlsplit(os.environ["http_upstream_url"]).port), Handler).serve_forever()
"""


@contextmanager
def watchdog(tmp_path, **environment):
    """Run one on a socket of ours; yields how to ask it, and its process."""
    program = tmp_path / "function.py"
    program.write_text(FUNCTION)
    given = {
        "mode": "http",
        "fprocess": f"{sys.executable} {program}",
        "http_upstream_url": f"http://127.0.0.1:{reserved_port()}",
        "ready_path": "/ready",
        "PATH": os.environ["PATH"],
        "TMPDIR": str(tmp_path),
        **environment,
    }
    with socket.create_server(("127.0.0.1", 0)) as listener, piped("the token") as token:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "serverless.emulator.openfaas.watchdog", str(listener.fileno()), str(os.getpid())],
            env={name: value for name, value in given.items() if value is not None},
            pass_fds=(listener.fileno(),),
            stdin=token,
            stderr=subprocess.PIPE,
        )

    def ask(method, path, body=None, headers=None, **options):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, body, {TOKEN_HEADER: "the token"} | (headers or {}), **options)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data, dict(answer.getheaders())

    try:
        yield ask, process
    finally:
        process.kill()
        process.communicate()


def until_ready(ask):
    deadline = time.monotonic() + 20
    while ask("GET", "/_/ready")[0] != 203:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.server
def test_requests_reach_the_function_in_chunks_and_its_answers_come_back_timed(tmp_path):
    with watchdog(tmp_path) as (ask, _):
        until_ready(ask)
        status, data, headers = ask("POST", "/some/path?x=1", b"hello", {"X-Call-Id": "abc"})
        assert json.loads(data) == {"body": "hello", "chunked": True, "call": "abc", "path": "/some/path?x=1"}
        assert (status, headers["X-Mine"]) == (203, "yes")
        assert float(headers["X-Duration-Seconds"]) > 0
        chunks = iter([b"hel", b"lo", b" there"])
        assert json.loads(ask("POST", "/", chunks, encode_chunked=True)[1])["body"] == "hello there"


@pytest.mark.server
def test_a_body_is_sent_whole_where_the_function_asks_for_it(tmp_path):
    with watchdog(tmp_path, http_buffer_req_body="true") as (ask, _):
        until_ready(ask)
        answer = json.loads(ask("POST", "/", iter([b"hel", b"lo"]), encode_chunked=True)[1])
        assert (answer["body"], answer["chunked"]) == ("hello", False)


@pytest.mark.server
def test_exec_timeout_ends_the_wait_with_504_and_a_caller_may_ask_for_less(tmp_path):
    with watchdog(tmp_path, exec_timeout="700ms") as (ask, _):
        until_ready(ask)
        assert ask("POST", "/", b"0.1")[0] == 203
        status, _, headers = ask("POST", "/", b"3")
        assert (status, headers["X-OpenFaaS-Internal"]) == (504, "of-watchdog")
        assert float(headers["X-Duration-Seconds"]) >= 0.7
    with watchdog(tmp_path, exec_timeout="20s") as (ask, _):
        until_ready(ask)
        assert ask("POST", "/", b"3", {"X-Timeout": "200ms"})[0] == 504


@pytest.mark.server
def test_more_than_max_inflight_are_refused_at_once_and_readiness_says_so(tmp_path):
    with watchdog(tmp_path, max_inflight="1") as (ask, _):
        until_ready(ask)
        seen, enough = [], tmp_path / "enough"  # until this file is there, the function is busy
        busy = threading.Thread(target=lambda: seen.append(ask("POST", "/", str(enough).encode())[0]))
        busy.start()
        deadline = time.monotonic() + 10
        while ask("GET", "/_/ready")[0] != 429:
            assert time.monotonic() < deadline
        status, data, headers = ask("POST", "/", b"0")
        assert (status, data) == (429, b"Concurrent request limit exceeded. Max concurrent requests: 1\n")
        assert headers["X-OpenFaaS-Internal"] == "faas-middleware"
        assert ask("GET", "/_/health")[0] == 200
        enough.touch()
        busy.join()
        assert seen == [203]
        assert ask("POST", "/", b"0")[0] == 203


def test_whoever_has_an_answer_may_ask_again():
    """Else a caller that is quick is refused as one too many, although nothing is under way."""

    class Wire(io.BytesIO):
        def write(self, data):
            inflight.append(dog._inflight)
            return super().write(data)

    inflight, dog = [], Watchdog(Config(fprocess="x", upstream="http://127.0.0.1:9", max_inflight=1))
    handler = _Handler.__new__(_Handler)
    handler.watchdog, handler.command, handler.path, handler.request_version = dog, "POST", "/", "HTTP/1.1"
    handler.requestline, handler.headers, handler.rfile = "POST / HTTP/1.1", Message(), io.BytesIO()
    handler.connection, handler.wfile = Mock(), Wire()
    handler.do_POST()
    assert b" 500 " in handler.wfile.getvalue()  # nothing is at the upstream
    assert set(inflight) == {0}


@pytest.mark.server
def test_health_is_the_lock_file(tmp_path):
    with watchdog(tmp_path) as (ask, _):
        until_ready(ask)
        assert ask("GET", "/_/health")[:2] == (200, b"OK")
        (tmp_path / ".lock").unlink()
        assert ask("GET", "/_/health")[0] == 503
        assert ask("GET", "/_/ready")[0] == 503
        assert ask("POST", "/_/health")[0] == 405


@pytest.mark.server
def test_it_ends_with_the_function(tmp_path):
    with watchdog(tmp_path) as (ask, process):
        until_ready(ask)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            while True:  # the first answer may still be a 500
                ask("POST", "/", b"exit")
        assert process.wait(20) == 1


@pytest.mark.server
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mode": "streaming"}, "mode=http only"),
        ({"fprocess": None}, "fprocess"),
        ({"http_upstream_url": None}, "http_upstream_url"),
        ({"fprocess": "no-such-program x"}, "no such program"),
    ],
)
def test_what_it_cannot_run_it_refuses_and_says_why(tmp_path, changes, words):
    with watchdog(tmp_path, **changes) as (_, process):
        _, told = process.communicate(timeout=20)
        assert process.returncode == 1
        assert words in told.decode()


def test_the_environment_is_read_by_of_watchdogs_names():
    base = {"mode": "http", "upstream_url": "http://127.0.0.1:5000", "function_process": "python x.py"}
    config = Config.of(base | {"exec_timeout": "5m", "max_inflight": "2", "suppress_lock": "true"})
    assert (config.exec_timeout_s, config.max_inflight, config.suppress_lock) == (300.0, 2, True)
    assert (config.upstream, config.fprocess) == ("http://127.0.0.1:5000", "python x.py")
    assert Config.of(base).exec_timeout_s == 30.0
    assert [duration_s(text) for text in ("5", "1h", "1m30s", "250ms", "-1s", "5 s", "")] == [
        5,
        3600,
        90,
        0.25,
        30,
        30,
        30,
    ]
