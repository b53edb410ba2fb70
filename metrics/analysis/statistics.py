"""How sure a number is: medians with exact intervals, pairs by seed, censored values.

Nothing here assumes a distribution: the interval of a median is one between two order statistics, and the test of a
difference permutes signs within pairs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metrics.collect.units import write

_NUMBER = re.compile(r"[\d.,:]+(?=\D*$)")


FEWEST = 6  # below it, no interval between order statistics covers a median with 95 %


@dataclass(frozen=True)
class Median:
    """A median, how many values it is of, and how sure it is.

    Parameters
    ----------
    value
        The median; NaN of no values.
    n
        How many values.
    low, high
        Interval of at least 95 % for the median; ``None`` where none exists (n < 6).
    coverage
        The interval's exact probability, in [0, 1].
    is_lower_bound
        Whether censored values leave only "more than ``value``" to be said.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    is_lower_bound: bool = False


def interval_ranks(n: int, confidence: float = 0.95) -> tuple[int, int, float] | None:
    """Return the narrowest symmetric pair of ranks whose order statistics enclose the median.

    The number of values below the median of a continuous distribution is binomial(n, 1/2); so the interval from rank
    k to rank n + 1 - k covers it with 1 - 2 P(B <= k - 1) (Conover, "Practical Nonparametric Statistics", 3.2).

    Returns
    -------
    tuple or None
        Lower and upper rank, 1-based, and the exact coverage; ``None`` if all n values together cover less than
        ``confidence``.

    Examples
    --------
    >>> interval_ranks(10)
    (2, 9, 0.978515625)
    >>> interval_ranks(5) is None
    True
    """
    tail, best = 0.0, None
    for rank in range(1, n // 2 + 1):
        tail += math.comb(n, rank - 1) / 2**n
        coverage = 1 - 2 * tail
        if coverage < confidence:
            break
        best = (rank, n + 1 - rank, coverage)
    return best


def median(values: ArrayLike, censored: Sequence[bool] | None = None) -> Median:
    """Return the median of some values with its interval.

    Parameters
    ----------
    values
        Shape (n,); NaN means not measured and is left out.
    censored
        Shape (n,); true where the value is only known to be *more* than the one given (a target that was not reached
        within so many rounds). Such a value is never dropped: it counts as anything from there to infinity, and what
        of the median depends on it is given as a lower bound.
    """
    given = np.asarray(values, dtype=np.float64)
    is_censored = np.zeros(given.shape, dtype=bool) if censored is None else np.asarray(censored, dtype=bool)
    measured = ~np.isnan(given)
    least, is_censored = given[measured], is_censored[measured]
    most = np.where(is_censored, np.inf, least)
    n = len(least)
    if n == 0:
        return Median(math.nan, 0)
    value, bound = float(np.median(least)), float(np.median(most))
    ranks = interval_ranks(n)
    if ranks is None:
        return Median(value, n, is_lower_bound=value != bound)
    lower, upper, coverage = ranks
    low, high = float(np.sort(least)[lower - 1]), float(np.sort(most)[upper - 1])
    return Median(value, n, low, high, coverage, is_lower_bound=value != bound)


def pairs(frame: pd.DataFrame, value: str, *, side: str, left: str, right: str, by: Sequence[str]) -> pd.DataFrame:
    """Return the pairs of one value on two sides.

    Parameters
    ----------
    frame
        One row per run.
    value
        Column that is compared.
    side
        Column that tells the sides apart, such as ``backend``.
    left, right
        The two sides.
    by
        What the two runs of a pair have in common, such as ``["cell", "seed"]``; a run without a partner is left out.

    Returns
    -------
    DataFrame
        Columns ``by``, ``left``, ``right``.

    Raises
    ------
    ValueError
        If a side has two runs of one pair, so that nobody could say which to take.
    """
    keys = list(by)
    measured = frame[[*keys, side, value]].dropna(subset=[value])  # of many columns
    sides = []
    for name, label in ((left, "left"), (right, "right")):
        rows = measured[measured[side] == name]
        if rows.duplicated(keys).any():
            raise ValueError(f"{name} has two runs of the same {', '.join(keys)}; they cannot be paired")
        sides.append(rows[[*keys, value]].rename(columns={value: label}))
    return sides[0].merge(sides[1], on=keys)


def permutation_p(differences: ArrayLike) -> float | None:
    """Return the two-sided p-value of a mean paired difference of zero, by permutation of the signs.

    Exact (every sign pattern) up to n = 13, 9,999 drawn patterns of a fixed seed above.

    Parameters
    ----------
    differences
        Shape (n,), one per pair; for ratios give the differences of logarithms.

    Returns
    -------
    float or None
        ``None`` below n = 6, where not even the most extreme pattern has p < 0.05.
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < FEWEST:
        return None
    from scipy.stats import permutation_test  # noqa: PLC0415 - half a second that most readers of tables do not need

    result = permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=9_999, rng=np.random.default_rng(0)
    )
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that are corrected for how many they are (Holm 1979, Scandinavian Journal of Statistics 6:65-70).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def write_median(found: Median, unit: str) -> str:
    """Write a median with its interval, where there is one; ``> 45`` for one that censoring left open.

    Examples
    --------
    >>> write_median(Median(45.0, 2, is_lower_bound=True), "rounds")
    '> 45'
    >>> write_median(Median(1.05, 10, 1.01, 1.1, 0.979), "ratio")
    '1.05× [1.01–1.10×]'
    """
    text = ("> " if found.is_lower_bound else "") + write(found.value, unit)
    if found.low is None or found.high is None or found.low == found.high:
        return text
    low, high = write(found.low, unit), write(found.high, unit)
    number = _NUMBER.match(low)
    if number and high.endswith(low[number.end() :]):
        low = number.group()  # the unit once is enough
    return f"{text} [{low}–{high}]"
