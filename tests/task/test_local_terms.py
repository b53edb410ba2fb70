"""What strategies add to a client's step: FedProx and SCAFFOLD against plain computations of their papers' formulas."""

from dataclasses import replace

import numpy as np
import pytest

from task.aggregation import Aggregation
from task.engines.engine import Terms, load_engine
from task.engines.numpy_engine import differentiate
from task.job import FederatedJob, StrategySpec
from task.models import as_keras, initial_weights, pixels
from task.states import client_state_like, keeps_client_state
from task.training import batch_order, local_update
from task.weights import sha256
from tests.support.replay import Untimed

RATE = 0.1
JOB = FederatedJob(
    model="mlp50", optimizer="sgd", learning_rate=RATE, local_epochs=2, batch_size=10, clients=4, clients_per_round=2
)
CONTROL = "/control"


@pytest.fixture(scope="module")
def data():
    """Images of blurred blobs, each client with classes of its own, and another number of them."""
    rng = np.random.default_rng(7)
    made = {}
    for client, number in enumerate((23, 30, 41, 17)):
        labels = rng.choice([client, client + 4], number).astype(np.uint8)
        images = rng.integers(0, 90, (number, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 8, 6:20] += 150
        made[client] = images.astype(np.uint8), labels
    return made


def update(job, data, client=0, server_round=1, weights=None, kept=None, shared=None):
    weights = weights or initial_weights(job.model, job.seed)
    return local_update(job, client, server_round, weights, *data[client], kept, Untimed(), shared)


@pytest.mark.training
@pytest.mark.parametrize("model", ["nn", "mlp50"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_fedprox_without_a_term_is_fedavg_to_the_bit_with_the_same_loop(model, optimizer, data):
    plain = replace(JOB, model=model, optimizer=optimizer)
    prox = replace(plain, strategy=StrategySpec("fedprox", mu=0.0))
    assert sha256(update(prox, data).weights) == sha256(update(plain, data).weights)
    if model == "nn":
        engine = load_engine("tensorflow")
        before = engine.trainer.cache_info().currsize
        update(prox, data)
        assert engine.trainer.cache_info().currsize == before  # no graph of its own, which would be traced again


@pytest.mark.training
@pytest.mark.parametrize("model", ["nn", "mlp50"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_fedprox_is_keras_with_the_proximal_term_in_the_loss(model, optimizer, data):
    import keras
    import tensorflow as tf

    mu, rate = 2.0, 0.05 if optimizer == "sgd" else 1e-3
    job = replace(JOB, model=model, optimizer=optimizer, learning_rate=rate, strategy=StrategySpec("fedprox", mu=mu))
    start = initial_weights(model, 0)
    reference, loss = as_keras(model), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    reference.set_weights(list(start.values()))
    chosen = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer](rate)
    images, labels = data[0]
    for padded in batch_order(job, 0, 1, len(labels)):
        batch = padded[padded >= 0]
        with tf.GradientTape() as tape:
            found = loss(labels[batch], reference(pixels(images[batch])[..., None]))
            pairs = zip(reference.trainable_variables, start.values(), strict=True)
            found += mu / 2 * sum(tf.reduce_sum(tf.square(variable - array)) for variable, array in pairs)
        variables = reference.trainable_variables
        chosen.apply_gradients(zip(tape.gradient(found, variables), variables, strict=True))
    ours, free = update(job, data).weights, update(replace(job, strategy=StrategySpec()), data).weights
    for (name, mine), theirs in zip(ours.items(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5, rtol=0, err_msg=name)
    assert sha256(ours) != sha256(free)
    moved = [sum(float(np.square(one[name] - start[name]).sum()) for name in start) for one in (ours, free)]
    assert moved[0] < 0.95 * moved[1]


def test_a_large_mu_holds_clients_at_the_global_weights(data):
    start = initial_weights("mlp50", 0)
    moved = []
    for mu in (0.0, 1.0, 8.0):
        weights = update(replace(JOB, strategy=StrategySpec("fedprox", mu=mu)), data).weights
        moved.append(sum(float(np.square(weights[name] - start[name]).sum()) for name in start))
    assert moved[0] > moved[1] > 2 * moved[2] > 0


SCAFFOLD = replace(JOB, strategy=StrategySpec("scaffold", eta=0.5))
ROUNDS = ((0, 1), (1, 2), (0, 2), (0, 3), (1, 3))  # who takes part


def algorithm_1(data):
    """Karimireddy et al. 2020, algorithm 1 with option II, in float64 but for the gradients; yields (x, c, c_i)."""
    x = {name: array.astype(np.float64) for name, array in initial_weights("mlp50", 0).items()}
    c = {name: np.zeros_like(array) for name, array in x.items()}
    own = {client: dict(c) for client in data}
    for number, clients in enumerate(ROUNDS, start=1):
        ways, changes = [], []
        for client in clients:
            images, labels = data[client]
            y, order = dict(x), batch_order(SCAFFOLD, client, number, len(labels))
            for padded in order:
                batch = padded[padded >= 0]
                rounded = {name: array.astype(np.float32) for name, array in y.items()}
                gradients, _ = differentiate("mlp50", rounded, pixels(images[batch]), labels[batch])
                y = {name: y[name] - RATE * (gradients[name] - own[client][name] + c[name]) for name in y}
            after = {name: own[client][name] - c[name] + (x[name] - y[name]) / (len(order) * RATE) for name in x}
            ways.append({name: y[name] - x[name] for name in x})
            changes.append({name: after[name] - own[client][name] for name in x})
            own[client] = after
        x = {name: x[name] + 0.5 / len(clients) * sum(way[name] for way in ways) for name in x}
        c = {name: c[name] + sum(change[name] for change in changes) / len(data) for name in x}
        yield x, c, own


def test_scaffold_is_algorithm_1_of_the_paper_with_option_2(data):
    weights, shared, kept = initial_weights("mlp50", 0), None, {}
    for number, (x, c, own) in enumerate(algorithm_1(data), start=1):
        aggregation = Aggregation(SCAFFOLD, weights, shared)
        for client in ROUNDS[number - 1]:
            made = update(SCAFFOLD, data, client, number, weights, kept.get(client), shared)
            kept[client] = made.optimizer_state
            aggregation.add(made.weights, made.num_examples)
        weights, shared = aggregation.result(), aggregation.state
        for name in weights:
            np.testing.assert_allclose(weights[name], x[name], atol=2e-5, rtol=0, err_msg=f"{name} after {number}")
            np.testing.assert_allclose(shared[name + CONTROL], c[name], atol=2e-4, rtol=0)
            for client, state in kept.items():
                np.testing.assert_allclose(state[name + CONTROL], own[client][name], atol=2e-4, rtol=0)
            mean = sum(state[name + CONTROL].astype(np.float64) for state in kept.values()) / SCAFFOLD.clients
            np.testing.assert_allclose(shared[name + CONTROL], mean, atol=1e-6, rtol=0)  # the law c = mean of all c_i
    assert max(float(np.abs(array).max()) for array in shared.values()) > 0.01


def test_a_client_of_scaffold_keeps_its_control_variate_and_its_optimizers_state_where_the_job_says_so(data):
    assert keeps_client_state(SCAFFOLD)
    assert not keeps_client_state(JOB)
    made = update(SCAFFOLD, data)
    assert (
        made.optimizer_state.keys()
        == client_state_like(SCAFFOLD).keys()
        == {f"{name}{CONTROL}" for name in made.weights}
    )
    both = replace(SCAFFOLD, optimizer="adam", optimizer_state="keep")  # no configuration can ask for it
    assert update(both, data).optimizer_state.keys() == client_state_like(both).keys()
    assert {"step", "dense1/kernel/m", "dense1/kernel/control"} <= client_state_like(both).keys()


@pytest.mark.training
def test_both_engines_add_the_same_terms(data):
    start = initial_weights("mlp50", 0)
    rng = np.random.default_rng(1)
    shift = {name: rng.normal(0, 0.1, array.shape).astype(np.float32) for name, array in start.items()}
    question = *data[0], batch_order(JOB, 0, 1, len(data[0][1]))
    for optimizer in ("sgd", "adam"):
        (ours, *_), (theirs, *_) = (
            load_engine(name)
            .trainer("mlp50", optimizer, 0.01, 10, Terms(0.5, shifted=True))
            .train(start, *question, None, shift)
            for name in ("numpy", "tensorflow")
        )
        for name, array in theirs.items():
            np.testing.assert_allclose(ours[name], array, atol=1e-5, err_msg=name)
