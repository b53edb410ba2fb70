"""The functions' container: its process speaks OpenWhisk's contract, and its image has what the functions import."""

import ast
import base64
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from metrics.collect.probe import Probe
from serverless.functions.payload import pack_images
from serverless.platforms.function_zip import package
from task.engines.runtime import ONE_THREAD
from task.job import FederatedJob
from task.models import initial_weights
from task.training import local_update
from task.weights import dumps, loads, sha256

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "scripts" / "runtime"
DOCKERFILE = (RUNTIME / "Dockerfile").read_text(encoding="utf-8")
MARKER = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"


def image_environment():
    """What ENV of the Dockerfile sets."""
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(re.findall(r"(\w+)=(\S+)", block))


class Container:
    """The entry point as the image starts it, outside of Docker."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def post(self, path, body, connection=None):
        connection = connection or self.connect()
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def container(folder):
    """Two files beside each other and nothing else of the project, as in the image."""
    proxy = folder / "proxy"
    action = folder / "action"
    proxy.mkdir()
    action.mkdir()
    for source in (ROOT / "serverless" / "emulator" / "containers" / "action_proxy.py", RUNTIME / "serve.py"):
        (proxy / source.name).write_bytes(source.read_bytes())
    environment = image_environment() | {"PATH": os.environ["PATH"]}
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, flags=re.MULTILINE)
    in_image = {"python": sys.executable, "/proxy/serve.py": str(proxy / "serve.py")}
    process = subprocess.Popen(
        [*(in_image.get(word, word) for word in json.loads(entry)), "--host", "127.0.0.1", "--port", "0"],
        cwd=action,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("wb"),
        text=True,
    )
    try:
        yield Container(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def zipped(source):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", source)
    return base64.b64encode(buffer.getvalue()).decode()


def init_body(code, **value):
    return {"value": {"name": "client", "main": "main", "code": code, "binary": True, "env": {}} | value}


@pytest.mark.server
def test_it_is_initialised_once_and_runs_as_often_as_it_is_asked(tmp_path):
    source = (
        "import os\ndef main(args):\n    print('at work')\n    return {'n': args['n'], 'id': os.environ['__OW_X']}\n"
    )
    with container(tmp_path) as it:
        assert it.post("/init", init_body(zipped(source))) == (200, {"ok": True})
        assert it.post("/init", init_body(zipped(source)))[0] == 403
        for n in range(3):
            assert it.post("/run", {"value": {"n": n}, "x": f"a{n}"}) == (200, {"n": n, "id": f"a{n}"})
        it.process.send_signal(signal.SIGTERM)
        out = it.process.stdout.read()
        assert it.process.wait(10) == 128 + signal.SIGTERM
    # the second /init was refused: it ends its logs too, as each run does
    assert out.splitlines() == [MARKER, *["at work", MARKER] * 3]


@pytest.mark.server
def test_a_connection_that_is_idle_does_not_hold_up_another_one(tmp_path):
    with container(tmp_path) as it:
        idle, broken = it.connect(), it.connect()
        assert it.post("/init", init_body(zipped("def main(args):\n    return args\n")), idle)[0] == 200
        broken.connect()  # sends nothing
        assert it.post("/run", {"value": {"a": 1}}) == (200, {"a": 1})
        broken.close()
        assert it.post("/run", {"value": {"a": 2}}, idle) == (200, {"a": 2})


@pytest.mark.server
def test_sigterm_ends_a_function_at_work_at_once(tmp_path):
    source = "import time\ndef main(args):\n    print('working', flush=True)\n    time.sleep(600)\n"
    with container(tmp_path) as it:
        it.post("/init", init_body(zipped(source)))
        connection = it.connect()
        connection.request("POST", "/run", json.dumps({"value": {}}))
        assert it.process.stdout.readline() == "working\n"
        it.process.send_signal(signal.SIGTERM)
        assert it.process.wait(10) == 128 + signal.SIGTERM


@pytest.mark.server
@pytest.mark.training
def test_our_client_function_trains_in_it(tmp_path):
    """The real zip and TensorFlow: what comes out is what the same training gives here."""
    job = FederatedJob(local_epochs=1, seed=3)
    weights = initial_weights(job.model, job.seed)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = draw.integers(0, 10, 20, dtype=np.uint8)
    (tmp_path / "weights").write_bytes(dumps(weights))
    (tmp_path / "data").write_bytes(pack_images(images, labels))
    urls = {f"{name}_url": (tmp_path / name).as_uri() for name in ("weights", "data", "update")}
    with container(tmp_path) as it:
        code = base64.b64encode(package("openwhisk/client", store=tmp_path.as_uri())).decode()
        assert it.post("/init", init_body(code)) == (200, {"ok": True})
        params = {"job": job.to_dict(), "client_id": 7, "server_round": 1, "attempt": 1, **urls}
        params["weights_sha256"] = sha256(weights)
        status, answer = it.post("/run", {"value": params, "deadline": str(int(time.time() * 1000) + 60_000)})
    assert status == 200, answer
    assert answer["num_examples"] == 20
    update = loads((tmp_path / "update").read_bytes())
    here = local_update(job, 7, 1, weights, images, labels, None, Probe()).weights
    assert sha256(update) == sha256(here) != sha256(weights)


def test_the_image_sets_the_threads_that_every_other_worker_has():
    environment = image_environment()
    assert {name: environment.get(name) for name in ONE_THREAD} == ONE_THREAD


def test_the_image_has_exactly_what_the_functions_import():
    with zipfile.ZipFile(io.BytesIO(package("openwhisk/client"))) as archive:
        shipped = {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}
    ours = {name.split("/")[0] for name in shipped} | {"__main__.py"}
    imported = {
        name.split(".")[0]
        for source in shipped.values()
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    lines = (RUNTIME / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked_for = {line for line in lines if line and not line.startswith("#")}
    brought_along = {"keras"}  # by TensorFlow
    assert imported - ours - set(sys.stdlib_module_names) - brought_along <= asked_for
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert asked_for <= pinned


def test_no_registry_is_asked_for_the_dockerfiles_own_language():
    assert "syntax=" not in DOCKERFILE.lower()


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run([hadolint, RUNTIME / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_is_not_run_as_root_and_its_files_are_let_through():
    assert re.search(r"^USER (?!0\b|root\b)\S+", DOCKERFILE, flags=re.MULTILINE)
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.M) for word in line.split()
    ]
    assert copied
    for path in copied:
        assert (ROOT / path).is_file()
        assert any(path.startswith(line[1:]) for line in let_through.splitlines() if line.startswith("!")), path
