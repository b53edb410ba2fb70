"""How clients train and how their updates become the next global weights. The strategies have their names here.

A strategy is a class; the parameters of its constructor are keys of ``strategy`` in the configuration. See
:class:`task.strategies.strategy.Strategy`, and docs/strategies.md.
"""

from __future__ import annotations

from inspect import signature

from task.job import StrategySpec
from task.strategies.fedadam import FedAdam
from task.strategies.fedavg import StreamingAverage
from task.strategies.fedavgm import FedAvgM
from task.strategies.fedprox import FedProx
from task.strategies.fedyogi import FedYogi
from task.strategies.krum import Krum
from task.strategies.median import Median
from task.strategies.scaffold import Scaffold
from task.strategies.strategy import Strategy
from task.strategies.trimmed_mean import TrimmedMean

STRATEGIES: dict[str, type[Strategy]] = {
    "fedavg": StreamingAverage,
    "median": Median,
    "trimmed_mean": TrimmedMean,
    "krum": Krum,
    "fedprox": FedProx,
    "fedavgm": FedAvgM,
    "fedadam": FedAdam,
    "fedyogi": FedYogi,
    "scaffold": Scaffold,
}


def strategy_parameters(name: str) -> tuple[str, ...]:
    """Return the parameters that a strategy needs.

    Examples
    --------
    >>> strategy_parameters("krum"), strategy_parameters("fedavg")
    (('f', 'm'), ())
    """
    return tuple(signature(STRATEGIES[name]).parameters)


def bytes_in_memory(name: str, updates: int, model_bytes: int) -> int:
    """Return how much memory the aggregation of a round takes at most, bytes.

    Sums, states and what they are computed with are there at once, in float64. A strategy that keeps the updates has
    all of them, and those of one array again, in ascending order.

    Examples
    --------
    >>> bytes_in_memory("fedavg", 100, 1000), bytes_in_memory("median", 100, 1000)
    (16000, 216000)
    """
    return model_bytes * (16 + (2 * updates if STRATEGIES[name].keeps_updates else 0))


def strategy_of(spec: StrategySpec) -> Strategy:
    """Return the strategy for one piece of work."""
    return STRATEGIES[spec.name](**{name: getattr(spec, name) for name in strategy_parameters(spec.name)})
