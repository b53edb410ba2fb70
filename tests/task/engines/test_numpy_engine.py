"""The NumPy engine: gradients against finite differences, its laws, and TensorFlow's answers to the same questions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from machine.resources import affinity_cores
from task.engines.engine import Terms, load_engine
from task.engines.numpy_engine import cross_entropy, differentiate, trainer
from task.engines.optimizers import OPTIMIZERS
from task.models import initial_weights
from task.training import batch_order

PROJECT = Path(__file__).resolve().parents[3]
RATES = {"sgd": 0.1, "adam": 1e-3, "nadam": 1e-3}
SEEDS = st.integers(0, 2**32 - 1)


def loss_of(weights, inputs, labels):
    return differentiate("mlp50", weights, inputs, labels)[1]


@settings(max_examples=25, derandomize=True)
@given(seed=SEEDS, batch=st.integers(1, 7))
def test_the_gradient_is_what_the_loss_changes_by(seed, batch):
    """In float64: float32 would leave no digits of a difference."""
    rng = np.random.default_rng(seed)
    weights = {
        name: array.astype(np.float64) + rng.normal(0, 0.1, array.shape)
        for name, array in initial_weights("mlp50", seed % 1000).items()
    }
    inputs, labels = rng.random((batch, 28, 28)), rng.integers(0, 10, batch).astype(np.uint8)
    gradients, _ = differentiate("mlp50", weights, inputs, labels)
    assert gradients.keys() == weights.keys()
    for name, array in weights.items():
        direction, h = rng.normal(size=array.shape), 1e-6
        up, down = (loss_of({**weights, name: array + sign * h * direction}, inputs, labels) for sign in (1, -1))
        assert (up - down) / (2 * h) == pytest.approx(np.vdot(gradients[name], direction), rel=1e-4, abs=1e-6), name


@given(
    logits=arrays(np.float32, (4, 10), elements=st.floats(-1e4, 1e4, width=32)),
    labels=arrays(np.uint8, 4, elements=st.integers(0, 9)),
)
def test_cross_entropy_is_finite_and_pushes_towards_the_label(logits, labels):
    losses, error = cross_entropy(logits, labels)
    assert losses.dtype == error.dtype == np.float32
    assert np.isfinite(losses).all()
    assert (losses >= 0).all()
    np.testing.assert_allclose(error.sum(axis=1), 0, atol=1e-5)
    rows = np.arange(4)
    assert (error[rows, labels] <= 0).all()
    error[rows, labels] = 0
    assert (error >= 0).all()


def test_an_undecided_model_loses_log_10():
    losses, _ = cross_entropy(np.zeros((1, 10), np.float32), np.uint8([3]))
    assert losses[0] == pytest.approx(np.log(10))


@pytest.fixture
def question(mnist):
    """A client's images in the order of two epochs of 23 batches, the last of 7 images."""
    from task.job import FederatedJob

    job = FederatedJob(model="mlp50", local_epochs=2, batch_size=10)
    return mnist.train_images[:227], mnist.train_labels[:227], batch_order(job, 0, 1, 227)


@pytest.mark.training
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_both_engines_give_the_same_weights_states_losses_and_verdicts(optimizer, question, mnist):
    start = initial_weights("mlp50", 0)
    (ours, state, losses), (theirs, their_state, their_losses) = (
        load_engine(name).trainer("mlp50", optimizer, RATES[optimizer], 10, Terms()).train(start, *question)
        for name in ("numpy", "tensorflow")
    )
    assert max(float(np.abs(ours[name] - start[name]).max()) for name in start) > 0.01
    np.testing.assert_allclose(losses, their_losses, atol=1e-4)
    assert state.keys() == their_state.keys()
    for found, expected in ((ours, theirs), (state, their_state)):
        for name, array in expected.items():
            assert found[name].dtype == np.float32
            np.testing.assert_allclose(found[name], array, atol=2e-5, err_msg=name)
    test = mnist.test_images[:1300], mnist.test_labels[:1300]
    verdicts, their_verdicts = (
        list(load_engine(name).judge("mlp50", theirs, *test, batch=500)) for name in ("numpy", "tensorflow")
    )
    assert [hits for hits, _ in verdicts] == [hits for hits, _ in their_verdicts]
    assert [loss for _, loss in verdicts] == pytest.approx([loss for _, loss in their_verdicts], rel=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_leaves_its_arguments_as_they_are(optimizer, question):
    engine = trainer("mlp50", optimizer, RATES[optimizer], 10, Terms())
    start = initial_weights("mlp50", 0)
    _, state, _ = engine.train(start, *question)
    before = {name: array.copy() for name, array in (start | state).items()}
    engine.train(start, *question, state)
    for name, array in (start | state).items():
        np.testing.assert_array_equal(array, before[name])


def test_convolutions_are_refused_by_name():
    with pytest.raises(ValueError, match="cnn has convolutions"):
        differentiate("cnn", {}, np.zeros((1, 28, 28), np.float32), np.uint8([0]))


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
import numpy as np
from contextlib import nullcontext
from threadpoolctl import threadpool_info
from baselines import inprocess, inprocess_worker
from baselines.flower import client_app, server_app  # ours: Flower's simulation imports what it finds installed
from task.evaluation import evaluate
from task.job import FederatedJob
from task.models import initial_weights
from task.training import local_update

class NoStopwatch:
    def phase(self, name):
        return nullcontext()

rng = np.random.default_rng(0)
data = rng.integers(0, 256, (30, 28, 28)).astype(np.uint8), rng.integers(0, 10, 30).astype(np.uint8)
job = FederatedJob(model="mlp50", local_epochs=1)
update = local_update(job, 0, 1, initial_weights("mlp50", 0), *data, None, NoStopwatch())
evaluate("mlp50", update.weights, *data)
print(*{pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
"""
WHO_LIMITS = """
from threadpoolctl import threadpool_info
def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
import task.engines.numpy_engine
print(*threads())
from task.engines.engine import load_engine
load_engine("numpy")
print(*threads())
"""


def said_with_two_threads(script):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["OPENBLAS_NUM_THREADS"] = "2"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT, env=environment)
    return done.stdout.split()


def test_a_process_that_cannot_import_tensorflow_learns_with_one_thread():
    assert said_with_two_threads(WITHOUT_TENSORFLOW) == ["1"]


def test_loading_an_engine_limits_the_process_and_importing_its_module_does_not():
    assert said_with_two_threads(WHO_LIMITS) == [str(min(2, affinity_cores())), "1"]
