"""Platforms on their embedded servers, with functions that do as they are told."""

from __future__ import annotations

import io
import threading
import zipfile
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from serverless.platforms.function_zip import package
from serverless.platforms.google import deploy as google_deploy
from serverless.platforms.google.client import GoogleClient
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.google.tokens import OneToken
from serverless.platforms.openfaas import deploy as openfaas_deploy
from serverless.platforms.openfaas.client import OpenFaasClient
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.protocol import FunctionSpec
from tests.support.tiers import starts

BEHAVIOUR = """
import os, sys, time
from machine.clocks import now, process_started_at
from metrics.collect.probe import WorkerProcess
calls = 0

def behave(params):
    global calls
    calls += 1
    probe = WORKER.probe()
    time.sleep(params.get("sleep_s", 0))
    if "fail" in params:
        raise ValueError(params["fail"])
    if "exit" in params:
        os._exit(params["exit"])
    eaten = b"x" * (params.get("eat_mb", 0) << 20)
    time.sleep(params.get("then_sleep_s", 0))
    return {"pid": os.getpid(), "calls": calls, "version": "VERSION", "got": params, "bytes": len(eaten),
            "spans": [(span.phase, span.start, span.end) for span in probe.report().spans]}
"""
WRAPPERS = {
    "openfaas": """
from serverless.functions.openfaas import server
WORKER = WorkerProcess(ready_at=now())
if __name__ == "__main__":
    server.serve(behave)
""",
    "google": """
from serverless.functions.google import answers
WORKER = WorkerProcess(ready_at=now(), born_at=process_started_at())
def main(request):
    return answers.answer(request, behave)
""",
}
ENTRIES = {"openfaas": "__main__.py", "google": "main.py"}


def with_entry(code: bytes, entry: str, text: str) -> bytes:
    """The same zip with another program in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(code)) as old, zipfile.ZipFile(buffer, "w") as new:
        for kept in old.infolist():  # with its date: another one would be other code
            new.writestr(kept, text if kept.filename == entry else old.read(kept))
    return buffer.getvalue()


class Tools:
    """What the tests of every platform use; ``version`` is that of the code that is deployed next."""

    SPEC = FunctionSpec("client", memory_mb=256, timeout_s=20)

    def __init__(self, name, platform, handle):
        self.name, self.platform, self.handle = name, platform, handle
        self.version = "1"

    def code(self, *args, **kwargs):
        text = BEHAVIOUR.replace("VERSION", self.version) + WRAPPERS[self.name]
        return with_entry(package(*args, **kwargs), ENTRIES[self.name], text)

    def deploy(self, **limits):
        spec = replace(self.SPEC, **limits)
        self.platform.deploy(spec)
        return spec

    def invoke(self, spec=SPEC, **params):
        return self.platform.invoke(spec, params)

    def processes(self):
        return [child for child in psutil.Process(self.handle.pid).children(recursive=True) if _runs(child)]


def _runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def make(name, handle, containers):
    """The platform as a run opens it, on a server whose settings are the test's."""
    if name == "openfaas":
        settings = OpenFaasSettings(max_containers=containers, request_timeout_s=5)
        client = OpenFaasClient(handle.api_host, handle.auth, settings)
        return openfaas_deploy.OpenFaas(client, is_embedded=True)
    settings = GoogleSettings(max_containers=containers, request_timeout_s=5)
    return google_deploy.GoogleFunctions(GoogleClient(handle.api_host, OneToken(handle.auth), settings))


@pytest.fixture
@starts("server")
def start(tmp_path, monkeypatch):
    """Start a platform with settings of the test's own."""
    with ExitStack() as stack:

        def start_one(name, containers=2, **settings):
            chosen = EmulatorSettings(**{"pool_memory_mb": 2048, "memory_max_mb": 2048, "pending_s": 0.3, **settings})
            handle = stack.enter_context(start_emulator(chosen, tmp_path / "emulator.log", (name,)))
            tools = Tools(name, make(name, handle, containers), handle)
            module = openfaas_deploy if name == "openfaas" else google_deploy
            monkeypatch.setattr(module, "package", tools.code)
            return tools

        yield start_one


@pytest.fixture(params=["openfaas", "google"])
def tools(request, start):
    """Each platform in turn."""
    return start(request.param)


@pytest.fixture
@starts("server")
def html_server():
    """Somebody's web server: it answers everything with a page."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            page = b"<html><body>Welcome to nginx!</body></html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
