"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("task", "machine", "metrics", "baselines", "serverless", "experiments")
STARTS_A_SERVER = {"serverless.emulator.launcher"}  # tests/serverless/emulator starts many
MODULES = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    for package in PACKAGES
    for path in (PROJECT / package).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", sorted({*MODULES} - STARTS_A_SERVER))
def test_examples_in_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_examples_are_found():
    assert len(MODULES) >= 30
    assert {*MODULES} >= STARTS_A_SERVER
