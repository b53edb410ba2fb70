"""The training loops of both engines against Keras' fit, and the laws that make a run repeatable."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from task.job import FederatedJob
from task.models import as_keras, initial_weights, parameter_shapes
from task.training import batch_order, local_update
from task.weights import sha256

RATES = {"sgd": 0.1, "adam": 1e-3, "nadam": 1e-3}


class NoStopwatch:
    def phase(self, name):
        return nullcontext()


def job(**changes):
    job = FederatedJob(model="nn", optimizer="adam", local_epochs=1)
    return replace(job, **changes, learning_rate=RATES[changes.get("optimizer", "adam")])


@pytest.fixture(scope="module")
def client_data():
    """Two classes of blurred blobs: learnable, shaped like one client's shards; no download needed."""
    rng = np.random.default_rng(7)
    labels = np.repeat([3, 8], 30).astype(np.uint8)
    images = rng.integers(0, 90, (60, 28, 28))
    images[labels == 3, 4:14, 6:20] += 150
    images[labels == 8, 14:24, 8:22] += 150
    return images.astype(np.uint8), labels


def update(job, data, client_id=0, server_round=1, weights=None, state=None):
    weights = weights or initial_weights(job.model, job.seed)
    return local_update(job, client_id, server_round, weights, *data, state, NoStopwatch())


@pytest.mark.training
@pytest.mark.parametrize("model", ["nn", "cnn", "mlp50"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam"])
@pytest.mark.parametrize(
    "num_examples",
    [pytest.param(60, id="whole batches", marks=pytest.mark.exhaustive), pytest.param(57, id="last batch short")],
)
def test_one_epoch_equals_keras_fit(model, optimizer, num_examples, client_data):
    import keras

    images, labels = (array[:num_examples] for array in client_data)
    the_job = job(model=model, optimizer=optimizer)
    start = initial_weights(model, 0)
    order = batch_order(the_job, 0, 1, num_examples).reshape(-1)
    order = order[order >= 0]

    reference = as_keras(model)
    reference.set_weights(list(start.values()))
    reference.compile(
        {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "nadam": keras.optimizers.Nadam}[optimizer](
            the_job.learning_rate
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    reference.fit((images[order] / np.float32(255))[..., None], labels[order], batch_size=10, shuffle=False, verbose=0)

    ours = update(the_job, (images, labels)).weights
    moved = max(float(np.abs(ours[name] - start[name]).max()) for name in ours)
    assert moved > 1e-3
    for (name, mine), theirs in zip(ours.items(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.training
@pytest.mark.parametrize("model", ["nn", "mlp50"])
def test_an_update_does_not_depend_on_what_the_process_did_before(model, client_data):
    the_job = job(model=model)
    first = update(the_job, client_data)
    update(the_job, client_data, client_id=1, server_round=3)
    again = update(the_job, client_data)
    assert sha256(first.weights) == sha256(again.weights)
    assert first.optimizer_state is None
    other_order = update(the_job, client_data, client_id=1)
    assert sha256(first.weights) != sha256(other_order.weights)


@pytest.mark.training
@pytest.mark.parametrize("model", ["nn", "mlp50"])
@pytest.mark.parametrize("optimizer", ["adam", "nadam"])
def test_kept_optimizer_state_goes_on_where_it_stopped(model, optimizer, client_data):
    keep = job(model=model, optimizer=optimizer, optimizer_state="keep")
    first = update(keep, client_data)
    assert first.optimizer_state["step"] == 6
    second = update(keep, client_data, server_round=2, weights=first.weights, state=first.optimizer_state)
    assert second.optimizer_state["step"] == 12
    fresh = update(keep, client_data, server_round=2, weights=first.weights)
    assert sha256(second.weights) != sha256(fresh.weights)


@pytest.mark.training
def test_training_lowers_the_loss(client_data):
    one, many = (update(job(local_epochs=epochs), client_data).train_loss for epochs in (1, 5))
    assert many < one / 2


def test_batch_order_is_every_image_once_an_epoch_decided_by_seed_client_and_round():
    two_epochs = job(local_epochs=2)
    order = batch_order(two_epochs, client_id=4, server_round=9, num_examples=57)
    assert order.shape == (12, 10)
    for epoch in np.split(order, 2):
        assert sorted(epoch[epoch >= 0]) == list(range(57))
        assert (epoch[:-1] >= 0).all()
        assert (epoch[-1] >= 0).sum() == 7
    np.testing.assert_array_equal(order, batch_order(two_epochs, 4, 9, 57))
    others = [
        batch_order(two_epochs, 5, 9, 57),
        batch_order(two_epochs, 4, 10, 57),
        batch_order(replace(two_epochs, seed=1), 4, 9, 57),
    ]
    assert not any(np.array_equal(order, other) for other in others)


@pytest.mark.parametrize(("model", "parameters"), [("cnn", 582_026), ("nn", 397_510), ("mlp50", 39_760)])
def test_models_have_the_published_number_of_parameters(model, parameters):
    assert sum(int(np.prod(shape)) for shape in parameter_shapes(model).values()) == parameters
    weights = initial_weights(model, seed=3)
    assert {name: array.shape for name, array in weights.items()} == parameter_shapes(model)
    assert sha256(weights) == sha256(initial_weights(model, seed=3)) != sha256(initial_weights(model, seed=4))
