"""The functions of a model without TensorFlow: they work where it is not installed."""

import json
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from io import BytesIO

import numpy as np
import pytest

from serverless.functions.payload import pack_images
from serverless.platforms.function_zip import package
from task.evaluation import evaluate
from task.job import FederatedJob
from task.models import initial_weights
from task.strategies.fedavg import StreamingAverage
from task.training import local_update
from task.weights import dumps, loads, sha256

JOB = FederatedJob(model="mlp50", local_epochs=2, optimizer_state="keep")
PROGRAM = """
import importlib.util, json, sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # as if not installed
sys.path.insert(0, ".")
spec = importlib.util.spec_from_file_location("function", "__main__.py")
function = importlib.util.module_from_spec(spec)
spec.loader.exec_module(function)
assert "task.engines.numpy_engine" in sys.modules  # before any work
print(json.dumps(function.main(json.load(sys.stdin))))
"""


class NoStopwatch:
    def phase(self, name):
        return nullcontext()


@pytest.fixture
def invoke(tmp_path):
    """Invoke a function in a process of its own, from its package."""

    def invoke(name, **params):
        home = tmp_path / name
        zipfile.ZipFile(BytesIO(package(f"openwhisk/{name}", engine="numpy", store=tmp_path.as_uri()))).extractall(home)
        command, sent = [sys.executable, "-c", PROGRAM], json.dumps(params)
        done = subprocess.run(command, input=sent, capture_output=True, text=True, cwd=home, check=True)
        return json.loads(done.stdout)

    return invoke


def test_client_and_aggregator_learn_what_the_library_learns(invoke, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50, 28, 28)).astype(np.uint8), rng.integers(0, 10, 50).astype(np.uint8)
    start = initial_weights("mlp50", 0)
    (tmp_path / "weights").write_bytes(dumps(start))
    (tmp_path / "data").write_bytes(pack_images(images, labels))

    def url(name):
        return (tmp_path / name).as_uri()

    where = {"weights_url": url("weights"), "data_url": url("data"), "update_url": url("update")}
    where["weights_sha256"] = sha256(start)
    answer = invoke(
        "client", job=JOB.to_dict(), client_id=3, server_round=1, attempt=2, new_state_url=url("state"), **where
    )
    expected = local_update(JOB, 3, 1, start, images, labels, None, NoStopwatch())
    assert sha256(loads((tmp_path / "update").read_bytes())) == sha256(expected.weights)
    assert sha256(loads((tmp_path / "state").read_bytes())) == sha256(expected.optimizer_state)
    assert (answer["num_examples"], answer["train_loss"]) == (50, expected.train_loss)

    answer = invoke(
        "aggregator",
        job=JOB.to_dict(),
        server_round=1,
        updates=[
            {
                "client_id": 3,
                "attempt": 2,
                "url": url("update"),
                "sha256": answer["update_sha256"],
                "num_examples": 50,
            }
        ],
        start_url=url("weights"),
        start_sha256=sha256(start),
        weights_url=url("average"),
        evaluation_url=url("evaluation"),
        test_url=url("data"),
        test_sha256="of the test",
    )
    average = StreamingAverage()
    average.add(expected.weights, 50)
    verdict = evaluate("mlp50", average.result(), images, labels)
    assert answer["weights_sha256"] == sha256(average.result())
    assert (answer["test_accuracy"], answer["test_loss"]) == (verdict.test_accuracy, verdict.test_loss)
