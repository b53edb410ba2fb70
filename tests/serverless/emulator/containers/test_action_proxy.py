"""The action proxy against OpenWhisk's action-container contract, spoken to directly."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from machine.handover import TOKEN_HEADER, piped
from serverless.emulator.containers import action_proxy
from tests.support.tiers import starts

MARKER = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
ENV_CODE = "import os\ndef main(args):\n    print('out')\n    return {k: os.environ.get(k) for k in args['names']}\n"


class Proxy:
    """One container process and its two requests."""

    def __init__(self, folder, parent=None):
        with socket.create_server(("127.0.0.1", 0)) as listener, piped("the token") as token:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.process = subprocess.Popen(
                [sys.executable, "-P", action_proxy.__file__, str(listener.fileno()), str(parent or os.getpid())],
                cwd=folder,
                pass_fds=[listener.fileno()],
                stdin=token,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def post(self, path, body):
        answer = requests.post(self.url + path, json=body, headers={TOKEN_HEADER: "the token"}, timeout=10)
        return answer.status_code, answer.json()

    def init(self, code, **value):
        return self.post("/init", {"value": {"name": "f", "main": "main", "binary": False, "code": code, **value}})

    def end(self):
        self.process.terminate()
        return self.process.communicate(timeout=10)


@pytest.fixture
@starts("server")
def container(tmp_path):
    started = Proxy(tmp_path)
    yield started
    started.process.kill()
    started.process.communicate()


def test_init_once_then_run_with_the_environment_of_each(container):
    assert container.init(ENV_CODE, env={"GIVEN": "at init"}) == (200, {"ok": True})
    assert container.init(ENV_CODE) == (403, {"error": "Cannot initialize the action more than once."})
    names = ["GIVEN", "__OW_ACTIVATION_ID", "__OW_DEADLINE"]
    run = {"value": {"names": names}, "activation_id": "abc", "deadline": "123"}
    assert container.post("/run", run) == (
        200,
        {"GIVEN": "at init", "__OW_ACTIVATION_ID": "abc", "__OW_DEADLINE": "123"},
    )
    out, err = container.end()
    # The refused second initialisation is marked as well, the good first one is not.
    assert out.splitlines() == [MARKER, "out", MARKER]
    assert err.splitlines() == [MARKER, MARKER]


def test_run_before_init(container):
    assert container.post("/run", {"value": {}}) == (500, {"error": "no action defined yet"})


def test_no_code(container):
    assert container.init("") == (403, {"error": "Missing main/no code to execute."})


def test_another_path(container):
    assert container.post("/else", {})[0] == 404


def test_a_failed_init_is_502_and_may_be_tried_again(container):
    assert container.init("def main(args): oops(")[0] == 502
    assert container.init("def main(args): return {}")[0] == 200


def test_unicode_goes_through(container):
    container.init("def main(args):\n    print(args['s'])\n    return args\n")
    assert container.post("/run", {"value": {"s": "größer 🙂"}}) == (200, {"s": "größer 🙂"})
    out, _ = container.end()
    assert out.splitlines()[0] == "größer 🙂"


@pytest.mark.server
def test_it_does_not_outlive_a_server_that_ended_before_it_began(tmp_path):
    orphan = Proxy(tmp_path, parent=1 if os.getppid() != 1 else 2)
    _, err = orphan.process.communicate(timeout=10)
    assert orphan.process.returncode == 1
    assert "has ended" in err


@pytest.mark.server
def test_it_is_a_program_of_the_standard_library(tmp_path):
    """What the proxy imports is in the process of every function: nothing of ours or of third parties may be."""
    code = (
        "import sys\nNAMES = ('numpy', 'aiohttp', 'serverless', 'task', 'metrics', 'psutil')\n"
        "def main(args):\n    return {'loaded': [n for n in NAMES if n in sys.modules], 'first': sys.path[0]}\n"
    )
    started = Proxy(tmp_path)
    started.init(code)
    assert started.post("/run", {"value": {}}) == (200, {"loaded": [], "first": str(Path(tmp_path))})
    started.end()
