"""What the tests of the task share."""

from pathlib import Path

import pytest

from task.data import DataSettings, Mnist, load_mnist

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def mnist_cache() -> Path:
    """The project's own cache of MNIST, filled."""
    cache = PROJECT / ".cache" / "mnist"
    load_mnist(DataSettings(cache))
    return cache


@pytest.fixture(scope="session")
def mnist(mnist_cache: Path) -> Mnist:
    return load_mnist(DataSettings(mnist_cache))
