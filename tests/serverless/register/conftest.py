"""Registers in both databases: every test runs on SQLite and on a real PostgreSQL server."""

import importlib.util
import itertools
from pathlib import Path

import pytest

from serverless.register.clients import open_register
from tests.support.tiers import starts

_NUMBERS = itertools.count()


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_postgres = _load("postgres")


@pytest.fixture(scope="session")
@starts("server")
def postgres_server():
    with _postgres.postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def where(request, tmp_path, monkeypatch):
    """The arguments that open a register of this test's own."""
    federation = f"run-{next(_NUMBERS)}"
    if request.param == "sqlite":
        return {"url": f"sqlite:///{tmp_path}/register.sqlite", "federation": federation}
    server = request.getfixturevalue("postgres_server")
    monkeypatch.setenv(_postgres.PASSWORD_ENV, server.password)
    return {"url": server.url, "federation": federation, "password_env": _postgres.PASSWORD_ENV}


@pytest.fixture
def register(where):
    with open_register(**where) as opened:
        yield opened
