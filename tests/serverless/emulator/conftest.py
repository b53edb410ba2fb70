"""Real servers, and a client that speaks to them as any OpenWhisk client would."""

import base64
import io
import time
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass, field

import psutil
import pytest
import requests

from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from tests.support.tiers import starts


@dataclass
class OpenWhisk:
    """A few lines over ``requests``; it knows nothing of the server's inside but its process."""

    handle: object
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self):
        self.session.auth = tuple(self.handle.auth.split(":"))
        self.api = f"{self.handle.api_host}/api/v1"

    def request(self, method, path, **options):
        return self.session.request(method, f"{self.api}/namespaces/_/{path}", timeout=60, **options)

    def put(self, name, code, overwrite=False, kind="python:3", main=None, **body):
        executable = {"kind": kind, "code": code} | ({"main": main} if main else {})
        return self.request(
            "PUT", f"actions/{name}", params={"overwrite": str(overwrite).lower()}, json={"exec": executable, **body}
        )

    def invoke(self, name, payload=None, **query):
        return self.request("POST", f"actions/{name}", params=query, json=payload or {})

    def call(self, name, payload=None, **query):
        """Blocking, and the whole record."""
        return self.invoke(name, payload, blocking="true", **query)

    def record(self, activation_id, within_s=30.0):
        """Poll until the activation has ended."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            answer = self.request("GET", f"activations/{activation_id}")
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code == 404
            time.sleep(0.02)
        raise AssertionError(f"activation {activation_id} has not ended within {within_s} s")

    def containers(self):
        """The live container processes."""
        children = psutil.Process(self.handle.pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]


def annotations(record):
    return {annotation["key"]: annotation["value"] for annotation in record["annotations"]}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return base64.b64encode(buffer.getvalue()).decode()


def eventually(condition, within_s=10.0):
    """Wait for what happens by itself; the time is a bound against hanging, not a claim."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def tools():
    """The helpers above, for tests that cannot import a conftest."""

    class Tools:
        pass

    for helper in (annotations, zipped, eventually):
        setattr(Tools, helper.__name__, staticmethod(helper))
    return Tools


@pytest.fixture
@starts("server")
def start(tmp_path):
    """Start servers with settings of the test's own."""
    with ExitStack() as stack:

        def start_one(**settings):
            generous = {"invocations_per_minute": 100_000, "concurrent_invocations": 1_000}
            chosen = EmulatorSettings(**{**generous, **settings})
            return OpenWhisk(stack.enter_context(start_emulator(chosen, tmp_path / "emulator.log")))

        yield start_one


@pytest.fixture(scope="module")
@starts("server")
def whisk(tmp_path_factory):
    """One server for the tests of a module that need nothing special."""
    settings = EmulatorSettings(invocations_per_minute=100_000, concurrent_invocations=1_000)
    with start_emulator(settings, tmp_path_factory.mktemp("emulator") / "emulator.log") as handle:
        yield OpenWhisk(handle)
