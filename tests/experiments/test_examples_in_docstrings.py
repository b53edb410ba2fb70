import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["cell_table", "errors", "watcher"])
def test_examples_of_a_module_of_experiments_hold(name):
    result = doctest.testmod(importlib.import_module(f"experiments.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
