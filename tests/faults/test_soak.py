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

ROOT = Path(__file__).parents[2]


def watched(seconds: int, **growth_per_minute: float) -> pd.DataFrame:
    """What a role with noise, work between a dozen rests and this growth looks like, after a warm-up."""
    rng = np.random.default_rng(seconds)
    at = np.arange(float(seconds))
    rows = {"at_s": at, "at_rest": at % (seconds // 12) == 0, "role": "keeper"}
    at_work = np.where(rows["at_rest"], 0.0, at / seconds)  # ever more is under way at once: no leak
    for what, level, noise in (("processes", 3.0, 0.0), ("fds", 40.0, 3.0), ("rss_mib", 200.0, 8.0)):
        warming = level * np.exp(-at / (0.05 * seconds))
        leaked = growth_per_minute.get(what, 0.0) * at / 60
        rows[what] = level * (1 + at_work) + leaked + rng.normal(0, noise, seconds) - warming
    rows["processes"] = np.round(rows["processes"])
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


def test_too_few_rests_are_no_verdict() -> None:
    seen = watched(120)
    with pytest.raises(ValueError, match="3 rests after the warm-up: at least 4 are needed, soak longer"):
        judge(seen[~seen["at_rest"] | (seen["at_s"] > 85)])


@pytest.mark.server
@pytest.mark.training
@pytest.mark.fault
def test_two_minutes_of_random_faults_leak_nothing_and_lose_nothing(
    tmp_path: Path, mnist_settings: DataSettings
) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.faults.soak",
        "--minutes",
        "2",
        "--out",
        str(tmp_path),
        "--cache",
        str(mnist_settings.cache),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout)
    errors = tmp_path / "keeper.err"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{errors.read_text() if errors.exists() else ''}"
    assert "nothing leaks, nothing is lost" in done.stdout
