"""The soak in short, and the watch that it trusts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from task.data import DataSettings
from tests.faults.watch import judge

SOAK = Path(__file__).parents[2] / "scripts" / "soak.py"


def watched(seconds: int, **growth_per_minute: float) -> pd.DataFrame:
    """What a role with some noise, killed containers and this growth looks like; with a warm-up that must not count."""
    rng = np.random.default_rng(seconds)
    at = np.arange(float(seconds))
    rows = {"at_s": at, "role": "keeper"}
    for what, level, noise in (("processes", 3.0, 0.0), ("fds", 40.0, 3.0), ("rss_mib", 200.0, 8.0)):
        warming = level * np.exp(-at / (0.05 * seconds))
        rows[what] = level + growth_per_minute.get(what, 0.0) * at / 60 + rng.normal(0, noise, seconds) - warming
    rows["processes"] = np.round(rows["processes"]) + (rng.random(seconds) < 0.05)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seconds", [120, 1800])
def test_noise_and_a_warm_up_are_no_leak(seconds: int) -> None:
    assert not [verdict for verdict in judge(watched(seconds)) if verdict.leaks]


@pytest.mark.parametrize(("what", "per_minute"), [("processes", 0.2), ("fds", 1.0), ("rss_mib", 2.0)])
def test_what_grows_in_half_an_hour_is_a_leak(what: str, per_minute: float) -> None:
    assert [verdict.what for verdict in judge(watched(1800, **{what: per_minute})) if verdict.leaks] == [what]


@pytest.mark.parametrize(("what", "per_minute"), [("processes", 2.0), ("fds", 10.0), ("rss_mib", 40.0)])
def test_what_grows_fast_is_a_leak_in_two_minutes(what: str, per_minute: float) -> None:
    assert [verdict.what for verdict in judge(watched(120, **{what: per_minute})) if verdict.leaks] == [what]


@pytest.mark.slow
def test_two_minutes_of_random_faults_leak_nothing_and_lose_nothing(
    tmp_path: Path, mnist_settings: DataSettings
) -> None:
    command = [
        sys.executable,
        str(SOAK),
        "--minutes",
        "2",
        "--out",
        str(tmp_path),
        "--cache",
        str(mnist_settings.cache),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)
    errors = tmp_path / "keeper.err"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{errors.read_text() if errors.exists() else ''}"
    assert "nothing leaks, nothing is lost" in done.stdout
