"""Watches processes for leaks: what they hold when nothing is being done, and whether that grows.

What is held in the middle of work tells of the work: on a machine that becomes faster, more is under way at once, and
everything grows. At rest, what was leaked is what is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import psutil
from scipy.stats import theilslopes

MIB = 2**20
WARM_UP = 0.25  # share of the time that is not judged, and ...
WARM_UP_MOST_S = 240.0  # ... no more than this: caches fill, the allocators find their size
FEWEST_RESTS = 4  # that are judged
NOISE = {  # growth over the time that is judged which is none: so much, or so large a share of the level
    "processes": (0.5, 0.0),
    "fds": (8.0, 0.05),  # connections that are kept alive for some seconds
    "rss_mib": (24.0, 0.08),
}
MINIO_MIB = 192.0  # instead, of the store: Go's heap takes many minutes to find its size, and is not ours


@dataclass(frozen=True)
class Verdict:
    """Whether one thing that one role holds has grown.

    Parameters
    ----------
    level
        Median over the rests after the warm-up.
    highest
        Largest value after the warm-up, at rest or at work.
    growth
        Slope of a linear fit to the rests (Theil and Sen's, the median of the slopes between all pairs, which one odd
        rest does not move) times the time that is judged.
    allowed
        What it may grow by: noise, not a leak.
    """

    role: str
    what: str
    level: float
    highest: float
    growth: float
    allowed: float

    @property
    def leaks(self) -> bool:
        """Whether it grows by more than noise."""
        return self.growth > self.allowed


def look(roles: dict[str, Iterable[psutil.Process]], at_s: float, *, at_rest: bool) -> list[dict[str, object]]:
    """Return a row per role: living processes, open file descriptors, and the sum of their resident sets."""
    rows = []
    for role, processes in roles.items():
        living = fds = rss = 0
        for process in processes:
            with suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                descriptors, resident = process.num_fds(), process.memory_info().rss
                living, fds, rss = living + 1, fds + descriptors, rss + resident
        held = {"processes": living, "fds": fds, "rss_mib": rss / MIB}
        rows.append({"at_s": at_s, "at_rest": at_rest, "role": role, **held})
    return rows


def judge(seen: pd.DataFrame) -> list[Verdict]:
    """Judge what :func:`look` saw over time, role by role.

    Raises
    ------
    ValueError
        If there were too few rests to judge by.
    """
    warm_at = min(WARM_UP * seen["at_s"].max(), WARM_UP_MOST_S)
    verdicts = []
    for role, warm in seen[seen["at_s"] >= warm_at].groupby("role", sort=False):
        rests = warm[warm["at_rest"]]
        if len(rests) < FEWEST_RESTS:
            raise ValueError(f"{len(rests)} rests after the warm-up: at least {FEWEST_RESTS} are needed, soak longer")
        for what, (amount, share) in NOISE.items():
            values, level = rests[what].to_numpy(float), float(rests[what].median())
            slope = float(theilslopes(values, rests["at_s"].to_numpy(float)).slope)
            growth = slope * float(np.ptp(rests["at_s"]))
            highest = float(warm[what].max())
            of_minio = MINIO_MIB if (role, what) == ("store", "rss_mib") else 0.0
            verdicts.append(Verdict(str(role), what, level, highest, growth, max(amount, share * level, of_minio)))
    return verdicts


def table(verdicts: list[Verdict]) -> str:
    """Return verdicts as text."""
    lines = [f"{'role':<12}{'held':<11}{'at rest':>9}{'highest':>9}{'growth':>9}{'allowed':>9}"]
    for each in verdicts:
        numbers = "".join(f"{number:>9.1f}" for number in (each.level, each.highest, each.growth, each.allowed))
        lines.append(f"{each.role:<12}{each.what:<11}{numbers}  {'LEAKS' if each.leaks else 'flat'}")
    return "\n".join(lines)
