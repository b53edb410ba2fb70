"""What the tests of the task share."""

from pathlib import Path

import pytest

from task.data import DataSettings, Images, load_images

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def mnist_cache() -> Path:
    """The project's own cache of MNIST, filled."""
    cache = PROJECT / ".cache" / "mnist"
    load_images("mnist", DataSettings(cache))
    return cache


@pytest.fixture(scope="session")
def mnist(mnist_cache: Path) -> Images:
    return load_images("mnist", DataSettings(mnist_cache))
