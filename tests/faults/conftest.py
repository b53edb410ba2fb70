"""One small world for all tests of this folder, and the option that keeps the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from task.data import DataSettings
from tests.faults.matrix import Matrix
from tests.faults.world import World, small_world
from tests.support.tiers import starts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-matrix", metavar="FILE", type=Path, help="write the fault matrix to this file")


@pytest.fixture(scope="module")  # no longer: the keeper is patched as long as it stands
@starts("server", "training")
def world(tmp_path_factory: pytest.TempPathFactory, mnist_settings: DataSettings) -> Iterator[World]:
    """Servers and proxies, shared."""
    with small_world(tmp_path_factory.mktemp("faults"), mnist_settings) as shared:
        yield shared


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """The matrix, printed at the end, and kept if the command line says so."""
    collected = Matrix()
    yield collected
    text = collected.text()
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{text}")
    if file := request.config.getoption("--fault-matrix", default=None):
        file.write_text(text)
