"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "agreement",
        "cost.breakeven",
        "cost.functions",
        "cost.machines",
        "cost.schedule",
        "differences",
        "phases",
        "plots.marks",
        "probe",
        "sampler",
        "statistics",
        "units",
    ],
)
def test_examples_of_a_module_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"metrics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
