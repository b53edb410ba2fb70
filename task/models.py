"""The models, as data: two of Chadha, Jindal and Gerndt (2020), and the small one of r-gg (2024), ``mlp50``.

A model is an engine and a tuple of layers. From the layers follow the parameters and their initial values (in NumPy, so
that a controller needs no TensorFlow), the forward pass that an engine trains, and the Keras model that tests compare
the training loops with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from task.engines.runtime import tensorflow
from task.job import ModelName
from task.randomness import Stream, generator
from task.weights import Weights

EngineName = Literal["tensorflow", "numpy"]
IMAGE_SHAPE = (28, 28, 1)
LABELS = 10


@dataclass(frozen=True)
class Conv:
    """A square convolution, stride 1, valid padding, ReLU, then 2x2 max pooling."""

    name: str
    size: int
    channels: int


@dataclass(frozen=True)
class Dense:
    """A fully connected layer; ``relu`` says whether it is rectified (the last one gives logits)."""

    name: str
    units: int
    relu: bool = True


Layer = Conv | Dense


@dataclass(frozen=True)
class Model:
    """The engine that computes a model, and its layers; NumPy has dense layers only."""

    engine: EngineName
    layers: tuple[Layer, ...]


_LOGITS = Dense("logits", LABELS, relu=False)
MODELS: dict[ModelName, Model] = {
    "cnn": Model("tensorflow", (Conv("conv1", 5, 32), Conv("conv2", 5, 64), Dense("dense1", 512), _LOGITS)),
    "nn": Model("tensorflow", (Dense("dense1", 500), _LOGITS)),
    "mlp50": Model("numpy", (Dense("dense1", 50), _LOGITS)),
}


def parameter_shapes(model: ModelName) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter, in the model's order: ``cnn`` 582,026, ``nn`` 397,510, ``mlp50`` 39,760."""
    shapes: dict[str, tuple[int, ...]] = {}
    shape = IMAGE_SHAPE
    for layer in MODELS[model].layers:
        if isinstance(layer, Conv):
            shapes[f"{layer.name}/kernel"] = (layer.size, layer.size, shape[2], layer.channels)
            side = (shape[0] - layer.size + 1) // 2
            shape = (side, side, layer.channels)
        else:
            shapes[f"{layer.name}/kernel"] = (prod(shape), layer.units)
            shape = (1, 1, layer.units)
        shapes[f"{layer.name}/bias"] = (shape[2],)
    return shapes


def weights_like(model: ModelName) -> Weights:
    """Return arrays of the model's names and shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in parameter_shapes(model).items()}


def initial_weights(model: ModelName, seed: int) -> Weights:
    """Draw the weights that every backend starts from.

    Kernels are Glorot uniform (Glorot, Bengio 2010), as Keras' layers draw them; biases are zero.
    """
    rng = generator(seed, Stream.INITIAL_WEIGHTS)
    weights: Weights = {}
    for name, shape in parameter_shapes(model).items():
        if name.endswith("/bias"):
            weights[name] = np.zeros(shape, np.float32)
            continue
        receptive_field = prod(shape[:-2])
        limit = np.sqrt(6 / (receptive_field * (shape[-2] + shape[-1])))
        weights[name] = rng.uniform(-limit, limit, shape).astype(np.float32)
    return weights


def pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale grey values 0..255 to [0, 1], by numpy: TensorFlow would multiply by 1/255, which rounds differently."""
    return np.divide(images, 255, dtype=np.float32)


def as_keras(model: ModelName) -> Any:
    """Build the same model of Keras layers; ``get_weights`` has the order of :func:`parameter_shapes`."""
    tensorflow()
    import keras  # noqa: PLC0415 - tests and benchmarks only

    layers: list[Any] = [keras.layers.Input(IMAGE_SHAPE)]
    for layer in MODELS[model].layers:
        if isinstance(layer, Conv):
            layers.append(keras.layers.Conv2D(layer.channels, layer.size, activation="relu"))
            layers.append(keras.layers.MaxPool2D())
        else:
            layers.append(keras.layers.Flatten())  # changes nothing where its input is flat already
            layers.append(keras.layers.Dense(layer.units, activation="relu" if layer.relu else None))
    return keras.Sequential(layers)
