"""Every reader of foreign bytes reads or refuses any: under hypothesis, and for a minute under atheris."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
SECONDS = max(1, round(60 / len(TARGETS)))  # a minute for all of them together
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None  # it has no wheel for Python 3.13
NAMES = sorted(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_read_or_refused(name):
    seeds = list(TARGETS[name].seeds())
    assert seeds
    for seed in seeds:
        TARGETS[name].attempt(seed)


@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_are_read_or_refused(name):
    given(TARGETS[name].examples())(TARGETS[name].attempt)()


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_a_fuzzer_that_is_guided_by_branches_finds_nothing_either(name, tmp_path):
    """In a process of its own: atheris rewrites what it watches, and ends its process."""
    if not HAS_ATHERIS:
        settings(max_examples=2000)(given(TARGETS[name].examples())(TARGETS[name].attempt))()
        pytest.skip("atheris is not installed: only hypothesis has looked, at 2000 examples")
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(SECONDS), "--kept", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert "stat::number_of_executed_units" in ended.stderr
    assert not list((tmp_path / "found").iterdir())
