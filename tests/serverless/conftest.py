"""Shared by the tests of whole runs on a local platform."""

from __future__ import annotations

from dataclasses import replace

import pytest

from task.data import DataSettings, Images, load_images


@pytest.fixture(scope="session")
def small_mnist(mnist_settings: DataSettings) -> Images:
    """The first 240 training images and 50 test images: enough to learn something else from every client."""
    mnist = load_images("mnist", mnist_settings)
    few = slice(0, 240)
    return replace(
        mnist,
        train_images=mnist.train_images[few],
        train_labels=mnist.train_labels[few],
        test_images=mnist.test_images[:50],
        test_labels=mnist.test_labels[:50],
    )
